using Otto.Ipc.Platform.Linux;
using Otto.Ipc.Platform.Portable;

namespace Otto.Ipc.Platform;

// Who a process is, for other processes: a pid alone may be another's a moment later, or in another container.

internal static class ProcessIdentity
{
    /// <summary>The user whom files are made for and compared with.</summary>
    public static uint UserId => HostSystem.IsLinux ? Libc.GetEuid() : 0;

    /// <summary>
    /// Identifies the namespace of this process's pid: two processes with the same number here may signal each other by
    /// pid. The value is 0 if it is not known.
    /// </summary>
    public static ulong PidNamespace => HostSystem.IsLinux ? LinuxProcess.PidNamespace : 0;

    /// <summary>
    /// When this process started, in a unit of the system; together with the pid it names one process of a boot.
    /// </summary>
    public static ulong StartTime => HostSystem.IsLinux ? LinuxProcess.StartTime : PortableProcess.StartTime;

    /// <summary>This boot of the machine: locks and processes of another are gone.</summary>
    public static Guid BootId => HostSystem.IsLinux ? LinuxProcess.BootId : Guid.Empty;

    /// <summary>The name of a process's program; <see langword="null"/> if it is not known.</summary>
    public static string? NameOf(int pid) => HostSystem.IsLinux ? LinuxProcess.NameOf(pid) : null;

    /// <summary>The parent of this process.</summary>
    public static int ParentId => HostSystem.IsLinux ? Libc.GetParentPid() : 0;

    /// <summary>The parent of a process; 0 if there is none or it cannot be seen.</summary>
    public static int ParentOf(int pid) => HostSystem.IsLinux ? LinuxProcess.ParentOf(pid) : 0;

    /// <summary>Ends this process at this very instruction, as kill -9 would.</summary>
    public static void KillHere() => LinuxProcess.SignalThisThread(stop: false);

    /// <summary>Stops this process at this very instruction, until it is continued.</summary>
    public static void StopHere() => LinuxProcess.SignalThisThread(stop: true);
}
