using System.Globalization;

namespace Otto.Tools.Platform;

// What the system's own files say of this machine, this process and its container. Reading never fails: what cannot be read is null.

internal static class MachineFiles
{
    private const string InitialPidNamespace = "pid:[4026531836]", InitialUserNamespace = "user:[4026531837]";

    /// <summary>Gets the text of a file; <see langword="null"/> if it cannot be read.</summary>
    public static string? Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Gets the identity of this boot.</summary>
    public static string? BootId => Read(SystemPaths.BootId)?.Trim() is { Length: > 0 } id ? id : null;

    /// <summary>Gets the kernel's release, such as 6.1.0.</summary>
    public static string Release => Read("/proc/sys/kernel/osrelease")?.Trim() ?? "of unknown release";

    /// <summary>Gets whether a seccomp filter applies to this process.</summary>
    public static bool IsFiltered => Read("/proc/self/status")?.Contains("\nSeccomp:\t2", StringComparison.Ordinal) ?? false;

    /// <summary>Gets whether this process is in a pid namespace of its own.</summary>
    public static bool HasOwnPidNamespace => new FileInfo("/proc/self/ns/pid").LinkTarget is { } link && link != InitialPidNamespace;

    /// <summary>Gets whether this process is in a user namespace of its own.</summary>
    public static bool HasOwnUserNamespace => new FileInfo("/proc/self/ns/user").LinkTarget is { } link && link != InitialUserNamespace;

    /// <summary>Gets whether the clock since the boot is shifted for this process.</summary>
    public static bool HasShiftedClock => Read("/proc/self/timens_offsets") is { } offsets && offsets.Split('\n').Any(static line =>
        line.StartsWith("boottime", StringComparison.Ordinal) && line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is var parts
        && parts.Skip(1).Any(static part => part != "0"));

    /// <summary>
    /// Gets a soft limit of this process; -1 if there is none, <see langword="null"/> if it is not known.
    /// </summary>
    /// <param name="name">As the system names it, such as Max open files.</param>
    public static long? LimitOf(string name) => Read("/proc/self/limits")?.Split('\n')
        .FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal)) is { } line
            && line[name.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries) is [var soft, ..]
        ? soft == "unlimited" ? -1 : Number(soft) : null;

    /// <summary>Gets a number of the system's settings, such as vm/max_map_count.</summary>
    public static long? Setting(string name) => Number(Read($"/proc/sys/{name}")?.Trim());

    /// <summary>Gets what the control group of this process allows and has of memory.</summary>
    /// <returns><see langword="null"/> if there is no limit.</returns>
    public static (long Limit, long Used)? GroupMemory
    {
        get
        {
            foreach (string line in Read("/proc/self/cgroup")?.Split('\n') ?? [])
            {
                string[] parts = line.Split(':', 3);
                if (parts.Length != 3 || (parts[1].Length > 0 && !parts[1].Split(',').Contains("memory"))) continue;
                bool old = parts[1].Length > 0;
                string root = old ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup";
                (string most, string now) = old ? ("memory.limit_in_bytes", "memory.usage_in_bytes") : ("memory.max", "memory.current");
                // A container often sees its own group at the root; a parent's limit counts too.
                for (string at = parts[2].TrimEnd('/'); ; at = at[..at.LastIndexOf('/')])
                {
                    if (Number(Read($"{root}{at}/{most}")?.Trim()) is { } limit and < 1L << 60)
                        return (limit, Number(Read($"{root}{at}/{now}")?.Trim()) ?? 0);
                    if (at.Length == 0) break;
                }
            }

            return null;
        }
    }

    /// <summary>Gets the mount that a path is on.</summary>
    public static Mount? MountOf(string path)
    {
        Mount? found = null;
        foreach (string line in Read("/proc/self/mountinfo")?.Split('\n') ?? [])
        {
            string[] parts = line.Split(' ');
            int dash = Array.IndexOf(parts, "-");
            if (parts.Length < 6 || dash < 0 || parts.Length < dash + 3) continue;
            string point = parts[4].Replace("\\040", " ", StringComparison.Ordinal);
            bool contains = point == "/" || path == point || path.StartsWith(point + "/", StringComparison.Ordinal);
            // The last of equal ones is on top.
            if (contains && (found is null || point.Length >= found.Point.Length))
                found = new Mount(point, parts[dash + 1],
                    parts[5].Split(',').Contains("ro") || (parts.Length > dash + 3 && parts[dash + 3].Split(',').Contains("ro")));
        }

        return found;
    }

    /// <summary>Gets the kind of this container; <see langword="null"/> if there is no sign of one.</summary>
    public static string? Container =>
        Environment.GetEnvironmentVariable("KUBERNETES_SERVICE_HOST") is { Length: > 0 } ? "Kubernetes"
        : File.Exists("/.dockerenv") ? "Docker"
        : File.Exists("/run/.containerenv") ? "Podman"
        : Read("/run/systemd/container")?.Trim() is { Length: > 0 } kind ? kind
        : Environment.GetEnvironmentVariable("container") is { Length: > 0 } named ? named
        : null;

    /// <summary>Gets whether this is the Windows Subsystem for Linux.</summary>
    public static bool IsWindowsSubsystem => Release.Contains("microsoft", StringComparison.OrdinalIgnoreCase);

    /// <summary>Gets what logind does with the shared memory of a user whose last session ends.</summary>
    /// <returns>
    /// Whether it removes it, and the file that sets it; <see langword="null"/> if there is no logind.
    /// </returns>
    public static (bool Removes, string Source)? RemovesAtLogout
    {
        get
        {
            if (!Directory.Exists("/run/systemd/system")) return null;
            (bool Removes, string Source) found = (true, "the default of logind");
            foreach (string file in LogindFiles())
            {
                foreach (string line in Read(file)?.Split('\n') ?? [])
                {
                    string[] parts = line.Split('=', 2, StringSplitOptions.TrimEntries);
                    if (parts is ["RemoveIPC", var value]) found = (value.ToLowerInvariant() is "yes" or "true" or "on" or "1", file);
                }
            }

            return found;
        }
    }

    /// <summary>Gets whether the user's services continue after the last session.</summary>
    public static bool Lingers(string user) => File.Exists($"/var/lib/systemd/linger/{user}");

    /// <summary>Gets the name of a user; <see langword="null"/> if there is none.</summary>
    public static string? NameOf(uint user)
    {
        string wanted = user.ToString(CultureInfo.InvariantCulture);
        return Read("/etc/passwd")?.Split('\n').Select(static line => line.Split(':'))
            .FirstOrDefault(parts => parts.Length > 2 && parts[2] == wanted)?[0];
    }

    /// <summary>Gets whether a process exists here.</summary>
    public static bool Runs(int process) => Directory.Exists(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}"));

    /// <summary>Gets whether a socket of this path is open. Sees the network namespace of this process alone.</summary>
    public static bool IsOpenSocket(string path) =>
        Read("/proc/net/unix")?.Split('\n').Any(line => line.EndsWith(' ' + path, StringComparison.Ordinal)) ?? true;

    /// <summary>Gets whether a process that is visible here has a file open.</summary>
    public static bool IsOpen(string path)
    {
        foreach (string process in Directory.EnumerateDirectories("/proc").Where(static p => char.IsAsciiDigit(p[^1])))
        {
            try
            {
                if (Directory.EnumerateFileSystemEntries($"{process}/fd").Any(f => new FileInfo(f).LinkTarget == path)) return true;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It has ended, or is another user's.
            }
        }

        return false;
    }

    private static IEnumerable<string> LogindFiles()
    {
        string[] folders = ["/usr/lib/systemd", "/usr/local/lib/systemd", "/run/systemd", "/etc/systemd"];
        foreach (string folder in folders) yield return $"{folder}/logind.conf";
        // A file of one name in a later folder replaces that of an earlier one; the names are in order.
        var parts = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (string folder in folders.Select(static f => $"{f}/logind.conf.d").Where(Directory.Exists))
            foreach (string file in Directory.GetFiles(folder, "*.conf")) parts[Path.GetFileName(file)] = file;
        foreach (string file in parts.Values) yield return file;
    }

    private static long? Number(string? text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number
        : ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out _) ? long.MaxValue : null;
}

/// <summary>A mounted file system.</summary>
/// <param name="Point">Where.</param>
/// <param name="Type">Its kind, such as tmpfs.</param>
/// <param name="ReadOnly">Whether nothing can be written to it.</param>
internal sealed record Mount(string Point, string Type, bool ReadOnly);
