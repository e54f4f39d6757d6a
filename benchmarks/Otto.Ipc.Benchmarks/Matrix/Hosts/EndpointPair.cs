using Otto.Ipc.Benchmarks.Matrix.Subjects;

namespace Otto.Ipc.Benchmarks.Matrix.Hosts;

// Two sides of a channel, as a probe drives them: in two processes, or, for what lives in one, two threads of one.

/// <summary>One side: a session of a host.</summary>
/// <param name="host">The process.</param>
/// <param name="session">Which of its sessions.</param>
/// <param name="name">Who that is, for messages.</param>
internal sealed class Side(SubjectProcess host, int session, string name)
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private string _request = "";

    public SubjectProcess Host => host;

    public void Request(string verb) => host.Request(session, _request = verb);

    /// <inheritdoc cref="SubjectProcess.ReadAnswer"/>
    public string ReadAnswer()
    {
        try
        {
            return host.ReadAnswer(session, Patience);
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{name}, told '{_request}': {e.Message}");
        }
    }

    /// <summary>The same, or what went wrong there.</summary>
    public string TryReadAnswer(out bool worked)
    {
        try
        {
            worked = true;
            return ReadAnswer();
        }
        catch (Exception e) when (e is ProbeException or TimeoutException)
        {
            worked = false;
            return e.Message;
        }
    }

    public string Ask(string verb)
    {
        Request(verb);
        return ReadAnswer();
    }
}

internal sealed class EndpointPair : IDisposable
{
    private readonly SubjectProcess _first, _second;

    public EndpointPair(Subject subject, Workspace workspace, bool withoutPrivileges = false)
    {
        _first = new SubjectProcess(withoutPrivileges);
        _second = subject.InProcess ? _first : new SubjectProcess(withoutPrivileges);
        Sender = new Side(_first, 0, $"the sender of {subject.Name}");
        Receiver = new Side(_second, 1, $"the receiver of {subject.Name}");
        Sender.Request($"subject {subject.Name} {workspace.Address}");
        Receiver.Request($"subject {subject.Name} {workspace.Address}");
        Sender.ReadAnswer();
        Receiver.ReadAnswer();
    }

    public Side Sender { get; }

    public Side Receiver { get; }

    /// <summary>The processes of both ends, each once.</summary>
    public IReadOnlyList<SubjectProcess> Hosts => ReferenceEquals(_first, _second) ? [_first] : [_first, _second];

    /// <summary>Opens the receiver and then the sender of a channel.</summary>
    public void Open(string channel, LinkOptions options)
    {
        Receiver.Ask(Verb("inlet", channel, options));
        Sender.Ask(Verb("outlet", channel, options));
    }

    /// <summary>The same of a channel that other programs can see.</summary>
    public void OpenShown(string channel)
    {
        Receiver.Ask($"shown-inlet {channel}");
        Sender.Ask($"shown-outlet {channel}");
    }

    /// <summary>Opens a talk in which the sender is the caller.</summary>
    public void OpenDuplex(string channel, LinkOptions options)
    {
        Receiver.Request(Verb("talk answerer", channel, options));
        Sender.Request(Verb("talk caller", channel, options));
        ReadBothAnswers();
    }

    /// <summary>What both answer.</summary>
    /// <exception cref="ProbeException">One of them could not; the message has both, for
    /// one that fails leaves the other waiting.</exception>
    public (string Sender, string Receiver) ReadBothAnswers()
    {
        string sender = Sender.TryReadAnswer(out bool sent), receiver = Receiver.TryReadAnswer(out bool received);
        return sent && received ? (sender, receiver)
            : throw new ProbeException(
                $"sender: {(sent ? "came to its end" : sender)}; receiver: {(received ? "came to its end" : receiver)}");
    }

    public void Close()
    {
        Sender.Ask("close");
        Receiver.Ask("close");
    }

    public static string Verb(string verb, string channel, LinkOptions options) =>
        $"{verb} {channel} {options.MaxMessageBytes} {options.Waiting}";

    public void Dispose()
    {
        _first.Dispose();
        if (!ReferenceEquals(_first, _second)) _second.Dispose();
    }
}
