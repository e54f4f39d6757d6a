using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Faults;

// The processes of one topic, and the checker that adds up what they said.

/// <summary>Publishers and subscribers of one topic, each a process.</summary>
internal sealed class TopicProcesses(TestWorkspace workspace, SlowSubscriberPolicy policy) : IDisposable
{
    private readonly List<PeerProcess> _processes = [];
    private readonly Dictionary<PeerProcess, int> _numbers = [];

    public PeerProcess Subscriber() => Ready("news-hear", "news", $"{policy}");

    public PeerProcess Publisher(int number)
    {
        PeerProcess publisher = Ready("news-publish", "news", $"{number}", "30", $"{policy}");
        _numbers[publisher] = number;
        return publisher;
    }

    public PeerProcess Victim(string fault, params string[] arguments) => Start([("OTTO_FAULT_AT", fault)], arguments);

    public PeerProcess Start((string Name, string Value)[] environment, params string[] arguments)
    {
        PeerProcess process = workspace.StartWith(environment, arguments);
        _processes.Add(process);
        return process;
    }

    /// <summary>From now on the publisher's messages must be heard again within two seconds.</summary>
    public void MustGoOn(PeerProcess publisher, PeerProcess subscriber, int messages = 20)
    {
        int number = _numbers[publisher];
        long down = Stopwatch.GetTimestamp();
        int before = Reached(subscriber, number);
        Watchdog.Until(() => Reached(subscriber, number) >= before + 1, $"publisher {number} to go on (I5)");
        Assert.That(Stopwatch.GetElapsedTime(down), Is.LessThan(Watchdog.Recovery), "I5: the others were held up");
        Watchdog.Until(() => Reached(subscriber, number) >= before + messages, $"{messages} more messages of publisher {number}");
    }

    public static void Finish(params PeerProcess[] processes)
    {
        foreach (PeerProcess process in processes) process.Say("finish");
        foreach (PeerProcess process in processes) Assert.That(process.WaitForExit(), Is.Zero, process.Errors);
    }

    /// <summary>Nothing torn, in order, and heard and lost together are what was published.</summary>
    public void CheckSum(PeerProcess subscriber, Dictionary<int, int> published)
    {
        CheckOrder(subscriber);
        foreach ((int publisher, int count) in published)
        {
            List<int> heard = Heard(subscriber, publisher);
            Assert.That(heard.LastOrDefault(-1), Is.LessThan(count), $"publisher {publisher}: a message that was never published");
            if (policy == SlowSubscriberPolicy.Block)
                Assert.That(heard, Is.EqualTo(Enumerable.Range(0, count)), $"publisher {publisher}: Block loses nothing");
        }

        if (policy == SlowSubscriberPolicy.Disconnect)
            Assert.That(Words(subscriber, "got").Where(words => words[3] != "0"), Is.Empty,
                "Eject tells of a gap before anything behind it");
        int all = published.Keys.Sum(publisher => Heard(subscriber, publisher).Count);
        Assert.That(all + Lost(subscriber), Is.EqualTo(published.Values.Sum()), $"{all} heard and {Lost(subscriber)} lost");
        Assert.That(Told(subscriber), Is.LessThanOrEqualTo(Lost(subscriber)), "no message is lost twice");
    }

    public static void CheckOrder(PeerProcess subscriber) => Assert.That(Problem(subscriber), Is.Null);

    /// <summary>What a subscriber heard that it must not, or nothing.</summary>
    public static string? Problem(PeerProcess subscriber)
    {
        string[] lines = [.. subscriber.Lines];
        if (lines.FirstOrDefault(line => line.StartsWith("torn", StringComparison.Ordinal)) is { } torn) return torn;
        var next = new Dictionary<string, int>();
        foreach (string[] got in lines.Select(line => line.Split(' ')).Where(words => words[0] is "got" or "ejected"))
        {
            if (got[0] == "ejected")
            {
                next.Clear(); // what lies between is in the sum
                continue;
            }

            int sequence = int.Parse(got[2], CultureInfo.InvariantCulture);
            int expected = next.GetValueOrDefault(got[1], sequence);
            if (sequence < expected || (got[3] == "0" && sequence != expected)) return $"{string.Join(' ', got)} where {expected} was next";
            next[got[1]] = sequence + 1;
        }

        return null;
    }

    public static int Sent(PeerProcess publisher) => Words(publisher, "sent").Count;

    public static List<int> Heard(PeerProcess subscriber, int publisher) =>
        [.. Words(subscriber, "got").Where(words => words[1] == $"{publisher}").Select(
            words => int.Parse(words[2], CultureInfo.InvariantCulture))];

    public static long Lost(PeerProcess subscriber) =>
        Words(subscriber, "lost") is [var lost] ? long.Parse(lost[1], CultureInfo.InvariantCulture) : -1;

    /// <summary>Processes that a failed assertion left behind must not hide it.</summary>
    public void Dispose()
    {
        foreach (PeerProcess process in _processes)
        {
            if (!process.HasExited) process.Kill();
            process.Dispose();
        }
    }

    private static long Told(PeerProcess subscriber) =>
        Words(subscriber, "got").Sum(words => long.Parse(words[3], CultureInfo.InvariantCulture))
        + Words(subscriber, "ejected").Sum(words => long.Parse(words[1], CultureInfo.InvariantCulture));

    private static int Reached(PeerProcess subscriber, int publisher) => Heard(subscriber, publisher).LastOrDefault(-1);

    private static List<string[]> Words(PeerProcess process, string verb) =>
        [.. process.Lines.Select(line => line.Split(' ')).Where(words => words[0] == verb)];

    private PeerProcess Ready(params string[] arguments)
    {
        PeerProcess process = Start([], arguments);
        process.WaitFor("ready");
        return process;
    }
}
