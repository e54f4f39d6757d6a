using Otto.Ipc.Mmap.Regions;

namespace Otto.Tools;

// Turns what the library throws into one line on stderr and an exit code. A stack trace tells a shell user nothing.

internal static class ToolErrors
{
    private const int NoSpace = 28; // ENOSPC

    public static int Report(string tool, Exception error)
    {
        if (error is BrokenPipeException) return ExitCode.Done;
        Console.Error.WriteLine($"{tool}: {Words(error)}");
        return Code(error);
    }

    // .NET appends the parameter's name, which is not the user's word for it.
    private static string Words(Exception error) =>
        error is ArgumentException { ParamName: { } name } ? error.Message.Replace($" (Parameter '{name}')", "", StringComparison.Ordinal)
        : error.Message;

    private static int Code(Exception error) => error switch
    {
        MessageTooLargeException or RegionFullException or IOException { HResult: NoSpace } => ExitCode.Full,
        FileNotFoundException => ExitCode.NoSegment,
        UnauthorizedAccessException => ExitCode.Denied,
        TimeoutException => ExitCode.TimedOut,
        ArgumentException => ExitCode.Usage,
        _ => ExitCode.Failed,
    };
}
