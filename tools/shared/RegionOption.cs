using System.CommandLine;
using System.Globalization;
using Otto.Ipc;
using Otto.Ipc.Mmap.Regions;

namespace Otto.Tools;

// The arguments by which every tool for regions says which one is meant, and how long it may take.

internal sealed class RegionOption
{
    private const int LongestTimeout = 10_000_000;

    // All strings: the parser's generic code over numbers would have to be compiled at each start.
    private readonly Argument<string> _task = new("TASK") { Description = "The task's name: letters, digits, '.', '_', '-'." };
    private readonly Option<string?> _path =
        new("--path")
        {
            Description = "The region's file. Default: OTTO_MMAP_PATH, else otto-<pid>-TASK in OTTO_MMAP_DIR or "
                + $"{SystemPaths.SharedMemory}.",
            HelpName = "FILE",
        };
    private readonly Option<string?> _pid =
        new("--pid") { Description =
        "The pid of the run. Default: OTTO_PID, else the nearest ancestor that has the region, else (to make it) the parent.",
        HelpName = "PID" };
    private readonly Option<string?> _timeout;

    public RegionOption(Command command, string timeoutDescription)
    {
        _timeout = new Option<string?>("--timeout") { Description = timeoutDescription, HelpName = "SECONDS" };
        command.Add(_task);
        command.Add(_path);
        command.Add(_pid);
        command.Add(_timeout);
    }

    public RegionLocation Location(ParseResult parsed) => new(new ChannelName(parsed.GetValue(_task)!))
    {
        FilePath = parsed.GetValue(_path),
        ProcessId = parsed.GetValue(_pid) is { } pid ? ParsePid(pid) : null,
    };

    public TimeSpan? Timeout(ParseResult parsed) => parsed.GetValue(_timeout) is { } seconds ? ParseSeconds(seconds) : null;

    private static int ParsePid(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int pid) && pid > 0
        ? pid
        : throw new ArgumentException($"--pid must be a pid, 1 or more: '{text}'");

    private static TimeSpan ParseSeconds(string text) =>
        double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double seconds) && seconds <= LongestTimeout
        ? TimeSpan.FromSeconds(seconds)
        : throw new ArgumentException($"--timeout must be 0 to {LongestTimeout} seconds: '{text}'");
}
