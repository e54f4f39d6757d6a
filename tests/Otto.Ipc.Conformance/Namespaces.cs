using System.Diagnostics;

namespace Otto.Ipc.Conformance;

// Other processes that see another clock, another boot or another file system. Each is a prefix of a command line, for PeerProcess.

/// <summary>Commands that start a program in namespaces of its own. A test that may not make them is skipped.</summary>
public static class Namespaces
{
    /// <summary>A machine whose clocks are ahead by some seconds.</summary>
    public static IReadOnlyList<string> Ahead(int seconds) =>
        Require("unshare", "--time", "--monotonic", $"{seconds}", "--boottime", $"{seconds}", "--fork", "--kill-child");

    /// <summary>A container with a boot id of its own that shares the directories of this one.</summary>
    public static IReadOnlyList<string> OtherBoot(Guid id)
    {
        string script = $"t=$(mktemp) && echo {id} >$t && mount --bind $t /proc/sys/kernel/random/boot_id && rm -f $t && exec \"$@\"";
        return Require("unshare", "--mount", "sh", "-c", script, "sh");
    }

    /// <summary>A container whose only process has the number 1. It ends with the launcher.</summary>
    public static IReadOnlyList<string> OwnPids() => Require("unshare", "--pid", "--mount-proc", "--fork", "--kill-child");

    /// <summary>A container that hides the boot id.</summary>
    public static IReadOnlyList<string> NoBootId() =>
        Require("unshare", "--mount", "sh", "-c", "mount --bind /dev/null /proc/sys/kernel/random/boot_id && exec \"$@\"", "sh");

    /// <summary>
    /// A container whose root, temporary directory and shared memory cannot be written to, without a home.
    /// </summary>
    /// <param name="writable">A directory that is a memory file system; left out, nothing can be written to.</param>
    public static IReadOnlyList<string> ReadOnlyRoot(string? writable = null)
    {
        string script = (writable is null ? "" : $"mount -t tmpfs -o mode=700 none '{writable}' && ")
            + "mount -t tmpfs -o ro none /tmp && mount -o remount,ro,bind / && "
            + (writable is null ? "mount -t tmpfs -o ro none /dev/shm && " : "") + "unset HOME TMPDIR XDG_RUNTIME_DIR && exec \"$@\"";
        return Require("unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh");
    }

    /// <summary>A machine whose shared memory has this size.</summary>
    public static IReadOnlyList<string> SmallSharedMemory(string size) =>
        Require("unshare", "--map-root-user", "--mount", "sh", "-c", $"mount -t tmpfs -o size={size} none /dev/shm && exec \"$@\"", "sh");

    /// <summary>A directory that is a memory file system of this size, for this process alone.</summary>
    public static IReadOnlyList<string> SmallMemory(string directory, int bytes) =>
        Require("unshare", "--mount", "sh", "-c", $"mount -t tmpfs -o mode=700,size={bytes} none '{directory}' && exec \"$@\"", "sh");

    /// <summary>Skips the test where such a command does not work.</summary>
    public static IReadOnlyList<string> Require(params string[] command)
    {
        ArgumentNullException.ThrowIfNull(command);
        var start = new ProcessStartInfo(command[0], [.. command[1..], "true"]) { RedirectStandardError = true };
        try
        {
            using Process process = Process.Start(start)!;
            string errors = process.StandardError.ReadToEnd();
            process.WaitForExit();
            if (process.ExitCode == 0) return command;
            Assert.Ignore($"needs the right to make namespaces or filters, as root has it: {errors.Trim()}");
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            Assert.Ignore($"needs {command[0]} (apt-get install util-linux python3): {e.Message}");
        }

        return command;
    }
}
