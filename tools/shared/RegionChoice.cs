using System.CommandLine;
using System.Globalization;
using Otto.Ipc;
using Otto.Ipc.Mmap.Regions;

namespace Otto.Tools;

// The arguments by which every tool for regions says which one is meant, and how long it may take.

internal sealed class RegionChoice
{
    private readonly Argument<string> _task = new("TASK") { Description = "The task's name: letters, digits, '.', '_', '-'." };
    private readonly Option<string?> _path = new("--path") { Description = "The region's file. Default: OTTO_MMAP_PATH, else otto-<pid>-TASK in OTTO_MMAP_DIR or /dev/shm.", HelpName = "FILE" };
    private readonly Option<int?> _pid = new("--pid") { Description = "The pid of the run. Default: OTTO_PID, else the nearest ancestor that has the region, else (to make it) the parent.", HelpName = "PID" };
    private readonly Option<double?> _timeout;

    public RegionChoice(Command command, string timeoutDescription)
    {
        _timeout = new Option<double?>("--timeout") { Description = timeoutDescription, HelpName = "SECONDS" };
        _timeout.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<double?>() is { } seconds && !(seconds is >= 0 and <= 1e7))
                result.AddError(string.Create(CultureInfo.InvariantCulture, $"--timeout must be 0 to 10000000 seconds: {seconds}"));
        });
        command.Add(_task);
        command.Add(_path);
        command.Add(_pid);
        command.Add(_timeout);
    }

    public static RegionLocation Location(RegionChoice choice, ParseResult parsed) => new(new ChannelName(parsed.GetValue(choice._task)!))
    {
        FilePath = parsed.GetValue(choice._path),
        ProcessId = parsed.GetValue(choice._pid),
    };

    public TimeSpan? Timeout(ParseResult parsed) => parsed.GetValue(_timeout) is { } seconds ? TimeSpan.FromSeconds(seconds) : null;
}
