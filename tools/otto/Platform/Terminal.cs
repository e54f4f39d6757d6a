using System.Runtime.InteropServices;

namespace Otto.Tools.Platform;

// The terminal that started this program, if there is one.

internal static partial class Terminal
{
    private const int ReadWrite = 2, NoControl = 0x100, CloseOnExec = 0x80000;

    /// <summary>
    /// Whether this process group is in the foreground: then the terminal sends its signals to each of its processes.
    /// </summary>
    public static bool IsInForeground()
    {
        int terminal = Open("/dev/tty", ReadWrite | NoControl | CloseOnExec);
        if (terminal < 0) return false;
        bool foreground = ForegroundGroup(terminal) == ProcessGroup();
        _ = Close(terminal);
        return foreground;
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);

    [LibraryImport("libc", EntryPoint = "tcgetpgrp")]
    private static partial int ForegroundGroup(int descriptor);

    [LibraryImport("libc", EntryPoint = "getpgrp")]
    private static partial int ProcessGroup();
}
