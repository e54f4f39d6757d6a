using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Otto.Tools.Demo;

// The files that the demo works on where none are named: those of the installed .NET, or files of its own on a machine without
// .NET, where a native otto runs too.

internal sealed class SampleFiles : IDisposable
{
    private const int OwnFiles = 300, MostKilobytes = 64;

    private readonly ScratchSegments? _scratch;

    private SampleFiles(string directory, ScratchSegments? scratch)
    {
        Directory = directory;
        _scratch = scratch;
    }

    public string Directory { get; }

    /// <summary>Finds files to work on, or makes them.</summary>
    public static SampleFiles Open()
    {
        if (InstalledFrameworks() is { } frameworks) return new SampleFiles(frameworks, null);
        var scratch = new ScratchSegments();
        try
        {
            System.IO.Directory.CreateDirectory(scratch.Path);
            for (int i = 0; i < OwnFiles; i++)
                File.WriteAllBytes(Path.Combine(scratch.Path, string.Create(CultureInfo.InvariantCulture, $"sample{i:000}")), Content(i));
            return new SampleFiles(scratch.Path, scratch);
        }
        catch
        {
            scratch.Dispose();
            throw;
        }
    }

    public void Dispose() => _scratch?.Dispose();

    // All frameworks beside the one that runs this, or that would run what is started with dotnet: some hundreds of files.
    private static string? InstalledFrameworks()
    {
        string runtime = RuntimeEnvironment.GetRuntimeDirectory().TrimEnd('/');
        string? shared = Path.GetDirectoryName(Path.GetDirectoryName(runtime));
        if (shared is not null && Path.GetFileName(shared) == "shared") return shared;
        foreach (string? root in (string?[])[Environment.GetEnvironmentVariable("DOTNET_ROOT"), DotnetOnPath()])
        {
            string frameworks = Path.Combine(root ?? "", "shared");
            if (!string.IsNullOrEmpty(root) && System.IO.Directory.Exists(frameworks)) return frameworks;
        }

        return null;
    }

    private static string? DotnetOnPath()
    {
        string path = Environment.GetEnvironmentVariable("PATH") ?? "";
        foreach (string folder in path.Split(':', StringSplitOptions.RemoveEmptyEntries))
        {
            var program = new FileInfo(Path.Combine(folder, "dotnet"));
            if (program.Exists) return Path.GetDirectoryName((program.ResolveLinkTarget(returnFinalTarget: true) ?? program).FullName);
        }

        return null;
    }

    // The same on every machine: text, JSON, and bytes without order, of 1 to 64 KiB.
    private static byte[] Content(int number)
    {
        var random = new Random(number);
        byte[] content = new byte[random.Next(1, MostKilobytes + 1) * 1024];
        if (number % 3 == 0)
        {
            random.NextBytes(content);
            return content;
        }

        var text = new StringBuilder(number % 3 == 1 ? "[" : "");
        while (text.Length < content.Length) text.Append(CultureInfo.InvariantCulture, $"{random.Next(1_000_000)}, ");
        return Encoding.ASCII.GetBytes(text.ToString(0, content.Length - 2) + (number % 3 == 1 ? "0]" : ".\n"));
    }
}
