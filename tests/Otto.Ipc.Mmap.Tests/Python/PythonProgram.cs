namespace Otto.Ipc.Mmap.Tests.Python;

// The real python3 with the real client, beside a live .NET process.

internal static class PythonProgram
{
    /// <summary>Starts a program that has imported everything of the client.</summary>
    /// <param name="program">What comes after the import; <c>a</c> are its arguments.</param>
    /// <param name="arguments">They.</param>
    public static ChildProcess Start(string program, params string[] arguments) =>
        ChildProcess.Python(
            $"import sys\nsys.path.insert(0, sys.argv[1])\nsys.dont_write_bytecode = True\nfrom otto import *\na = sys.argv[2:]\n{program}",
            [Folder, .. arguments]);

    private static string Folder => Path.Combine(AppContext.BaseDirectory, "clients", "python");
}
