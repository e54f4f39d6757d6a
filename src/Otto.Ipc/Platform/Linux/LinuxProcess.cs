using System.Globalization;

namespace Otto.Ipc.Platform.Linux;

// What /proc says of processes and of this boot.

internal static class LinuxProcess
{
    private const int SigKill = 9, SigStop = 19;

    /// <summary>The pid namespace that this process's pid is of.</summary>
    public static readonly ulong PidNamespace = ReadNamespace();

    /// <summary>When this process started, in clock ticks since the boot.</summary>
    public static readonly ulong StartTime = ReadStartTime();

    /// <summary>This boot of the machine; empty if a container hides it.</summary>
    public static readonly Guid BootId = ReadBootId();

    /// <summary>The parent of a process; 0 if there is none or it cannot be seen.</summary>
    public static int ParentOf(int pid)
    {
        try
        {
            return ParentIn(File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/stat")));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }

    /// <summary>
    /// The fourth field of a stat line. The second, the program's name, may hold spaces and parentheses, so it is cut
    /// off at the last one.
    /// </summary>
    public static int ParentIn(string stat)
    {
        string[] rest = stat[(stat.LastIndexOf(')') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return rest.Length > 1 && int.TryParse(rest[1], NumberStyles.None, CultureInfo.InvariantCulture, out int parent) ? parent : 0;
    }

    /// <summary>
    /// Signals this very thread: a signal to the process may be another thread's to take, and this one would run on
    /// meanwhile.
    /// </summary>
    public static void SignalThisThread(bool stop)
    {
        nint thread = (nint)Libc.Syscall(Abi.GetThreadId, 0, 0, 0, 0, 0, 0);
        Libc.Syscall(Abi.SignalThread, Environment.ProcessId, thread, stop ? SigStop : SigKill, 0, 0, 0);
    }

    private static Guid ReadBootId()
    {
        try
        {
            return Guid.TryParse(File.ReadAllText("/proc/sys/kernel/random/boot_id"), out Guid id) ? id : Guid.Empty;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Guid.Empty;
        }
    }

    private static ulong ReadNamespace()
    {
        string? target = new FileInfo("/proc/self/ns/pid").LinkTarget; // "pid:[4026531836]"
        return target is not null
            && ulong.TryParse(target.AsSpan(5).TrimEnd(']'), NumberStyles.None, CultureInfo.InvariantCulture, out ulong inode) ? inode : 0;
    }

    private static ulong ReadStartTime()
    {
        // Field 22, counted after the command name, which may itself hold spaces and parentheses.
        string stat = File.ReadAllText("/proc/self/stat");
        string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return ulong.Parse(fields[19], CultureInfo.InvariantCulture);
    }

    /// <summary>The name of a process's program; <see langword="null"/> if it is not known.</summary>
    public static string? NameOf(int pid)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/comm").TrimEnd('\n');
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
