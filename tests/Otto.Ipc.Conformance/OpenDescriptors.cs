using System.Globalization;

namespace Otto.Ipc.Conformance;

/// <summary>What this process has open.</summary>
public static class OpenDescriptors
{
    /// <summary>How many sockets.</summary>
    public static int Sockets => All().Count(static descriptor => IsSocket(descriptor.Target));

    /// <summary>Whether a descriptor leads to a socket.</summary>
    public static bool IsSocket(string target)
    {
        ArgumentNullException.ThrowIfNull(target);
        return target.StartsWith("socket:", StringComparison.Ordinal);
    }

    /// <summary>Each descriptor, and what it leads to, but for those that are closed while
    /// they are looked at.</summary>
    public static IEnumerable<(int Number, string Target)> All()
    {
        foreach (string entry in Directory.EnumerateFileSystemEntries("/proc/self/fd"))
        {
            if (Target(entry) is { } target) yield return (int.Parse(Path.GetFileName(entry), CultureInfo.InvariantCulture), target);
        }
    }

    private static string? Target(string entry)
    {
        try
        {
            return new FileInfo(entry).LinkTarget;
        }
        catch (IOException)
        {
            return null;
        }
    }
}
