namespace Otto.Ipc.Benchmarks.Matrix.Subjects;

// What is probed and measured: a way for messages to travel, as the probes see it. A transport is one class
// here and one line in Subjects.All.

/// <summary>How an end waits while nothing comes.</summary>
internal enum WaitStyle
{
    /// <summary>As the subject does by default.</summary>
    Default,

    /// <summary>It looks again and again and never sleeps.</summary>
    Awake,

    /// <summary>It sleeps at once.</summary>
    Asleep,
}

/// <summary>How a channel is opened.</summary>
/// <param name="MaxMessageBytes">The largest message that will be sent.</param>
/// <param name="Waiting">How its ends wait.</param>
internal readonly record struct LinkOptions(int MaxMessageBytes, WaitStyle Waiting = WaitStyle.Default);

/// <summary>What is usually said of a transport, word by word, in the order of the rows.</summary>
internal sealed record UsualClaims(
    string Speed,
    string Streaming,
    string Persistent,
    string Debuggable,
    string ShellFriendly,
    string Bidirectional,
    string SetUp,
    string Overhead,
    string SizeLimits,
    string CrossPlatform)
{
    public string Of(Row row) => row switch
    {
        Row.Speed => Speed,
        Row.Streaming => Streaming,
        Row.Persistent => Persistent,
        Row.Debuggable => Debuggable,
        Row.ShellFriendly => ShellFriendly,
        Row.Bidirectional => Bidirectional,
        Row.SetUp => SetUp,
        Row.Overhead => Overhead,
        Row.SizeLimits => SizeLimits,
        _ => CrossPlatform,
    };
}

/// <summary>A way to look at a message that waits.</summary>
/// <param name="Toolbox">Where the tool comes from.</param>
/// <param name="Tool">Its name, for the evidence.</param>
/// <param name="Command">What is run, by bash.</param>
internal sealed record DebugCommand(Toolbox Toolbox, string Tool, string Command);

/// <summary>How a bash script takes part.</summary>
/// <param name="Toolbox">Which programs it may use, and no others.</param>
/// <param name="Programs">Beyond the base system.</param>
/// <param name="Send">Sends the line in <c>$MESSAGE</c>.</param>
/// <param name="Receive">Prints one message as a line.</param>
internal sealed record ShellScript(Toolbox Toolbox, string Programs, string Send, string Receive);

internal abstract class Subject
{
    private const int ShownBytes = 1024;

    /// <summary>The name in results and on command lines.</summary>
    public abstract string Name { get; }

    /// <summary>The name in headings.</summary>
    public virtual string Title => Name;

    /// <summary>Whether it is a column of the matrix; else a peer, which is only measured.</summary>
    public virtual bool IsColumn => false;

    /// <summary>What the transport claims of itself, where it is one of ours: the run fails
    /// where a probe finds something else.</summary>
    public TransportTraits? Traits => Altered ?? Declared;

    /// <summary>Other claims than the transport's own, to see that the run fails.</summary>
    public TransportTraits? Altered { get; set; }

    /// <summary>On which side of a border a number is read that lies close to it; see
    /// <see cref="Verdicts.Tolerance"/>.</summary>
    public virtual (TransportSpeed Speed, TransportLevel Overhead)? Leaning => Traits is { } t ? (t.Speed, t.Overhead) : null;

    /// <summary>The transport's own claims.</summary>
    protected virtual TransportTraits? Declared => null;

    /// <summary>What is usually said of such a transport.</summary>
    public virtual UsualClaims? Usual => null;

    /// <summary>Why it cannot be tried here; <see langword="null"/> where it can.</summary>
    public virtual string? Missing => null;

    /// <summary>Whether both ends live in one process.</summary>
    public virtual bool InProcess => false;

    /// <summary>Whether an end can wait without sleeping.</summary>
    public virtual bool CanStayAwake => true;

    /// <summary>Whether a send waits until somebody receives, for nothing keeps the message meanwhile.</summary>
    public virtual bool SendsOnlyToAReceiver => false;

    /// <summary>The largest message there is any use in trying when speed is measured; a
    /// larger size is measured with this one.</summary>
    public virtual int MostMeasuredBytes => 1 << 20;

    /// <summary>What must happen before a first message, in order.</summary>
    public virtual IReadOnlyList<string> SetUpSteps => ["open the receiver", "open the sender"];

    public virtual Server Server => Server.None;

    /// <summary>What it declares about platforms, where it has no traits.</summary>
    public virtual string Platforms => "";

    /// <summary>The largest message that it can be configured for; <see langword="null"/>
    /// where nothing bounds it.</summary>
    public virtual long? MaxMessageBytes => Traits?.MaxMessageBytes;

    /// <summary>Makes the place where the channels live.</summary>
    /// <param name="keep">Whether it is to keep as much as it can be made to; else it is as
    /// quick as it is usually made.</param>
    public virtual Workspace OpenWorkspace(bool keep = false) => new DirectoryWorkspace(disk: false);

    public abstract Outlet OpenOutlet(string address, string channel, LinkOptions options);

    public abstract Inlet OpenInlet(string address, string channel, LinkOptions options);

    /// <summary>Opens the sending end of a channel that other programs can look into and
    /// take part in, where that is another than the quickest.</summary>
    public virtual Outlet OpenShownOutlet(string address, string channel) => OpenOutlet(address, channel, new LinkOptions(ShownBytes));

    /// <summary>The receiving end of such a channel.</summary>
    public virtual Inlet OpenShownInlet(string address, string channel) => OpenInlet(address, channel, new LinkOptions(ShownBytes));

    /// <summary>Opens one side of a talk. The caller speaks first.</summary>
    /// <remarks>Two channels, where one does not go both ways.</remarks>
    public virtual DuplexEndpoint OpenTalk(string address, string channel, bool caller, LinkOptions options)
    {
        (string mine, string theirs) = caller ? (channel + ".back", channel + ".out") : (channel + ".out", channel + ".back");
        Inlet inlet = OpenInlet(address, mine, options);
        return new DuplexEndpoint(OpenOutlet(address, theirs, options), inlet);
    }

    /// <summary>Opens one side of a talk over one channel and no second one, however that ends.</summary>
    public virtual DuplexEndpoint OpenTalkOverOne(string address, string channel, bool caller, LinkOptions options)
    {
        Outlet outlet = OpenOutlet(address, channel, options);
        try
        {
            return new DuplexEndpoint(outlet, OpenInlet(address, channel, options));
        }
        catch
        {
            outlet.Dispose();
            throw;
        }
    }

    /// <summary>Has a server answer requests over the connection they come by, where there is one that does.</summary>
    /// <returns>What was done, for the evidence; <see langword="null"/> where it did not work.</returns>
    public virtual string? ConverseWithServer(string address, int requests) => null;

    /// <summary>Ways to look at a message that waits in a channel.</summary>
    public virtual IEnumerable<DebugCommand> Looks(string address, string channel) => [];

    /// <summary>Ways for a script to take part, each tried with its programs alone.</summary>
    public virtual IEnumerable<ShellScript> Scripts(string address, string channel) => [];

    /// <summary>A word as a shell takes it.</summary>
    public static string Quote(string text) => "'" + text.Replace("'", "'\\''", StringComparison.Ordinal) + "'";
}
