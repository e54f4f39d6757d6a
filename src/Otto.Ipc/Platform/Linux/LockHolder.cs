using System.Globalization;

namespace Otto.Ipc.Platform.Linux;

// Who holds a flock, for the person who reads that something waited for it too long: the kernel lists it in /proc/locks.

internal static class LockHolder
{
    /// <summary>Names the process that has a file locked, and reports if that process is stopped or gone.</summary>
    public static string Describe(FileStatus file)
    {
        try
        {
            string inode = $":{file.Inode} ";
            foreach (string line in File.ReadLines("/proc/locks"))
            {
                if (!line.Contains(" FLOCK ", StringComparison.Ordinal) || line.Contains("->", StringComparison.Ordinal)
                    || !line.Contains(inode, StringComparison.Ordinal)) continue;
                string[] fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
                if (fields.Length > 4 && int.TryParse(fields[4], NumberStyles.None, CultureInfo.InvariantCulture, out int pid))
                    return $"process {pid}{Condition(pid)}";
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
        }

        return "another process";
    }

    private static string Condition(int pid)
    {
        // The flock program of a shell script: the lock stays with the descriptor that the script gave it.
        string path = string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/stat");
        if (!File.Exists(path)) return ", which has ended and left its descriptor to another,";
        string stat = File.ReadAllText(path);
        int end = stat.LastIndexOf(')');
        string name = stat[(stat.IndexOf('(', StringComparison.Ordinal) + 1)..end];
        return stat[end + 2] is 'T' or 't' ? $" ({name}), which is stopped," : $" ({name})";
    }
}
