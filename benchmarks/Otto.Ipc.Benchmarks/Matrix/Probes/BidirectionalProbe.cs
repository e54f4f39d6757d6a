using Otto.Ipc.Benchmarks.Matrix.Hosts;
using Otto.Ipc.Benchmarks.Matrix.Results;
using Otto.Ipc.Benchmarks.Matrix.Subjects;

namespace Otto.Ipc.Benchmarks.Matrix.Probes;

/// <summary>Whether requests are answered over the channel that they came by.</summary>
internal sealed class BidirectionalProbe : Probe
{
    private const int Requests = 20;

    public override Row Row => Row.Bidirectional;

    public override Cell Try(Subject subject)
    {
        using Workspace workspace = subject.OpenWorkspace();
        using EndpointPair pair = new EndpointPair(subject, workspace);
        var options = new LinkOptions(1024);
        pair.Receiver.Request(EndpointPair.Verb("only answerer", "talk", options));
        string opened = AnswerOf(pair.Receiver.ReadAnswer, out bool works);
        string problem = works ? "" : $"one channel was not opened both ways: {opened}";
        if (works)
        {
            opened = AnswerOf(() => pair.Sender.Ask(EndpointPair.Verb("only caller", "talk", options)), out works);
            if (!works) problem = $"one channel was not opened both ways from the second side: {opened}";
        }

        int right = works ? Converse(pair, ref problem) : 0;
        string evidence = $"{Requests} requests were answered over the channel they came by";
        if (right < Requests)
        {
            string? served = subject.ConverseWithServer(workspace.Address, Requests);
            if (served is not null) right = Requests;
            evidence = served is null ? problem : $"{Requests} {served}";
        }

        bool yes = right == Requests;
        return Found(subject, Verdicts.Word(yes), evidence, right, $"of {Requests} replies",
            subject.Traits is { } t ? Verdicts.Word(t.Bidirectional) : null);
    }

    private static int Converse(EndpointPair pair, ref string problem)
    {
        pair.Receiver.Request($"serve {Requests}");
        for (int i = 0; i < Requests; i++)
        {
            string request = $"request {i}", answer = AnswerOf(() => pair.Sender.Ask("ask " + request), out bool heard);
            if (heard && answer == "reply to " + request) continue;
            problem = heard ? $"who asked '{request}' heard '{answer}'" : $"who asked '{request}' heard nothing: {answer}";
            _ = AnswerOf(pair.Receiver.ReadAnswer, out _);
            return i;
        }

        problem = AnswerOf(pair.Receiver.ReadAnswer, out bool served);
        return served ? Requests : 0;
    }
}
