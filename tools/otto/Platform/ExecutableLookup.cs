namespace Otto.Tools.Platform;

// Finds a program as a shell does: by its path, or by its name in PATH.

internal static class ExecutableLookup
{
    /// <summary>Gets the program's path; null if there is none that can be executed.</summary>
    public static string? Find(string name) => Candidates(name).FirstOrDefault(ExecutableFile.Exists);

    /// <summary>Why a program cannot be started, or null.</summary>
    public static (bool IsMissing, string Words)? Problem(string name)
    {
        if (Find(name) is not null) return null;
        string? there = Candidates(name).FirstOrDefault(path => File.Exists(path) || (name.Contains('/') && Directory.Exists(path)));
        return there is not null ? (false, $"{there} cannot be executed")
            : (true, name.Contains('/') ? $"{name} does not exist" : $"there is no program '{name}' in PATH");
    }

    private static IEnumerable<string> Candidates(string name) => name.Contains('/')
        ? [name]
        : (Environment.GetEnvironmentVariable("PATH") ?? "/usr/bin:/bin").Split(':', StringSplitOptions.RemoveEmptyEntries).Select(
            directory => Path.Combine(directory, name));
}
