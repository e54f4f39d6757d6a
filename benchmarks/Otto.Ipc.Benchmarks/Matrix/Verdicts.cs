using System.Globalization;

namespace Otto.Ipc.Benchmarks.Matrix;

// What makes a verdict. Written down before anything was measured, but for one border that was moved since (docs/decisions/0110); a number
// is turned into a word here and nowhere else.
//
//  row            from what                                                        words
//  speed          p50 of the quietest 256 round trips of 64 B in a row            under 2 µs very fast, under 200 µs fast, else slow
// streaming when the first frame is read; then a run of 40 MiB before the sender ends: yes; stuck or cut after it: partial; else no
// persistent who can be killed before the reading everybody, on a disk: yes; everybody: until reboot; else no
//  debuggable     which tool shows a waiting message, left for its receiver       cat: easy; jq, nc and their like: medium; else hard
// shell-friendly with which programs on the PATH a bash script takes part those of every system: easy;
// general ones: medium; ours: hard; else no
//  bidirectional  whether a reply comes back over the channel of the request      yes, no
// set-up steps before the first message, servers, the time they take 3 steps, no server, 1 s: low; a server of ours: medium; else high
//  overhead       processor time of all processes for a message of 64 B, busy     under 0.3 µs low, under 6 µs medium, else high
//  size limits    the largest message                                             1 GiB went through unasked: no; else yes
//  cross-platform declared, with what was run                                     the platforms

/// <summary>A row of the comparison table.</summary>
internal enum Row
{
    Speed,
    Streaming,
    Persistent,
    Debuggable,
    ShellFriendly,
    Bidirectional,
    SetUp,
    Overhead,
    SizeLimits,
    CrossPlatform,
}

/// <summary>With what a person or a script gets at a message.</summary>
internal enum Toolbox
{
    /// <summary>What every system has: the shell, cat, and the other small programs of the base system.</summary>
    Base,

    /// <summary>General programs that are installed for such purposes: jq, nc, socat, redis-cli.</summary>
    General,

    /// <summary>The tools of this project.</summary>
    Own,

    /// <summary>Nothing does it.</summary>
    None,
}

/// <summary>What else has to run before a message can be sent.</summary>
internal enum Server
{
    None,

    /// <summary>One that this project brings along.</summary>
    Own,

    /// <summary>One to be installed and looked after.</summary>
    Foreign,
}

/// <summary>The rules that turn a measurement into a word.</summary>
internal static class Verdicts
{
    public const double VeryFastMicroseconds = 2, FastMicroseconds = 200;
    public const double LowOverheadMicroseconds = 0.3, MediumOverheadMicroseconds = 6;
    public const int FewSteps = 3;
    public const long NoLimitBytes = 1L << 30;
    public static readonly TimeSpan QuickSetUp = TimeSpan.FromSeconds(1);

    /// <summary>
    /// How far beyond a border a number may lie and still confirm what is claimed or expected: such numbers move by
    /// more than that between two runs of the same code, and a word must not. Of whom
    /// nothing is expected gets the word on whose side the number lies.
    /// </summary>
    public const double Tolerance = 1.5;

    public static TransportSpeed Speed(double p50Microseconds, TransportSpeed? claim = null)
    {
        TransportSpeed measured = Judge(p50Microseconds), low = Judge(p50Microseconds / Tolerance),
            high = Judge(p50Microseconds * Tolerance);
        return claim is { } c && (c == low || c == high) ? c : measured;

        static TransportSpeed Judge(double us) =>
            us < VeryFastMicroseconds ? TransportSpeed.VeryFast : us < FastMicroseconds ? TransportSpeed.Fast : TransportSpeed.Slow;
    }

    public static TransportSupport Streaming(bool firstBeforeEnd, bool wholeRun) => (firstBeforeEnd, wholeRun) switch
    {
        (true, true) => TransportSupport.Yes,
        (true, false) => TransportSupport.Partial,
        _ => TransportSupport.No,
    };

    public static TransportPersistence Persistent(bool afterEverybody, bool onDisk) => (afterEverybody, onDisk) switch
    {
        (true, true) => TransportPersistence.Disk,
        (true, false) => TransportPersistence.UntilReboot,
        _ => TransportPersistence.None,
    };

    public static TransportEase? Ease(Toolbox least) => least switch
    {
        Toolbox.Base => Ipc.TransportEase.Easy,
        Toolbox.General => Ipc.TransportEase.Medium,
        Toolbox.Own => Ipc.TransportEase.Hard,
        _ => null,
    };

    /// <summary>Where no tool of anybody shows a message, it is as hard as with one that has to be written.</summary>
    public static TransportEase Debuggable(Toolbox least) => Ease(least) ?? Ipc.TransportEase.Hard;

    public static TransportLevel SetUp(int steps, Server server, TimeSpan toFirstMessage) =>
        server == Server.Foreign ? TransportLevel.High
        : server == Server.None && steps <= FewSteps && toFirstMessage < QuickSetUp ? TransportLevel.Low
        : TransportLevel.Medium;

    public static TransportLevel Overhead(double cpuMicroseconds, TransportLevel? claim = null)
    {
        TransportLevel measured = Judge(cpuMicroseconds), low = Judge(cpuMicroseconds / Tolerance),
            high = Judge(cpuMicroseconds * Tolerance);
        return claim is { } c && (c == low || c == high) ? c : measured;

        static TransportLevel Judge(double us) =>
            us < LowOverheadMicroseconds ? TransportLevel.Low
            : us < MediumOverheadMicroseconds ? TransportLevel.Medium : TransportLevel.High;
    }

    /// <summary>Whether there is a limit.</summary>
    public static bool SizeLimits(long largestBytes) => largestBytes < NoLimitBytes;

    // The words of the table.

    public static string Word(TransportSpeed speed) =>
        speed switch { TransportSpeed.VeryFast => "very fast", TransportSpeed.Fast => "fast", _ => "slow" };

    public static string Word(TransportSupport support) =>
        support switch { TransportSupport.Yes => "yes", TransportSupport.Partial => "partial", _ => "no" };

    public static string Word(TransportPersistence persistence) =>
        persistence switch { TransportPersistence.Disk => "yes", TransportPersistence.UntilReboot => "until reboot", _ => "no" };

    public static string Word(TransportEase? ease) =>
        ease switch { Ipc.TransportEase.Easy => "easy", Ipc.TransportEase.Medium => "medium", Ipc.TransportEase.Hard => "hard", _ => "no" };

    public static string Word(TransportLevel level) =>
        level switch { TransportLevel.Low => "low", TransportLevel.Medium => "medium", _ => "high" };

    public static string Word(bool yes) => yes ? "yes" : "no";

    public static string Word(Row row) => row switch
    {
        Row.Speed => "speed",
        Row.Streaming => "streaming",
        Row.Persistent => "persistent",
        Row.Debuggable => "debuggable",
        Row.ShellFriendly => "shell-friendly",
        Row.Bidirectional => "bidirectional",
        Row.SetUp => "set-up complexity",
        Row.Overhead => "run-time overhead",
        Row.SizeLimits => "size limits",
        Row.CrossPlatform => "cross-platform",
        _ => throw new ArgumentOutOfRangeException(nameof(row), string.Create(CultureInfo.InvariantCulture, $"no such row: {(int)row}")),
    };
}
