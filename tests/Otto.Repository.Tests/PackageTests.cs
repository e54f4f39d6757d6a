using System.Diagnostics;
using System.IO.Compression;
using System.Xml.Linq;

namespace Otto.Repository.Tests;

// A new user's first ten minutes, with the packages from a folder: the README's program, a worker, the tool.
// And what each package says of itself.

internal sealed class PackageTests
{
    private static string[] All => [.. Packages.Libraries, "Otto.Templates", "otto", "otto.any"];

    [TestCaseSource(nameof(All))]
    public void A_package_can_be_published(string name)
    {
        using ZipArchive package = Packages.Open(name);
        XElement metadata = Packages.Metadata(package);
        string[] files = [.. package.Entries.Select(entry => entry.FullName)];
        Assert.That(metadata.Element("id")!.Value, Is.EqualTo(name));
        Assert.That(metadata.Element("authors")!.Value, Is.EqualTo("The Otto.Ipc authors"));
        Assert.That(metadata.Element("license")!.ToString(), Is.EqualTo("<license type=\"expression\">MIT</license>"));
        Assert.That(metadata.Element("description")!.Value, Has.Length.GreaterThan(40).And.EndsWith("."));
        Assert.That(metadata.Element("tags")!.Value.Split(' '), Has.Length.GreaterThan(5).And.Contain("ipc"));
        string readme = metadata.Element("readme")!.Value, icon = metadata.Element("icon")!.Value;
        Assert.That(files, Does.Contain(readme).And.Contain(icon).And.Contain("LICENSE"));
        Assert.That(Packages.Bytes(package, icon)[1..4], Is.EqualTo("PNG"u8.ToArray()));
        Assert.That(Packages.Bytes(package, "LICENSE"), Is.EqualTo(File.ReadAllBytes(Repository.PathOf("LICENSE"))));
    }

    [TestCaseSource(typeof(Packages), nameof(Packages.Libraries))]
    public void A_library_comes_with_documentation_and_symbols(string name)
    {
        using ZipArchive package = Packages.Open(name);
        Assert.That(package.GetEntry($"lib/net10.0/{name}.dll"), Is.Not.Null);
        Assert.That(package.GetEntry($"lib/net10.0/{name}.xml"), Is.Not.Null);
        using ZipArchive symbols = ZipFile.OpenRead(Path.Combine(Packages.Folder, $"{name}.{Packages.Version}.snupkg"));
        Assert.That(symbols.GetEntry($"lib/net10.0/{name}.pdb"), Is.Not.Null);
    }

    // The same sources in another folder. A path, a time or a random number in the result would show.
    [Test]
    public void The_same_sources_give_the_same_bytes()
    {
        string copy = Packages.MakeFolder("copy");
        // A repository of the same commit and remotes, with the files as they are here, committed or not.
        const string script = """
            git clone --quiet --shared --no-checkout . "$1"
            cp "$(git rev-parse --git-common-dir)/config" "$1/.git/config"
            tar -c --exclude=bin --exclude=obj src eng assets LICENSE *.props global.json .editorconfig .gitignore | tar -x -C "$1"
            """;
        Repository.Run(Repository.Root, "bash", "-ec", script, "bash", copy);
        string build = Path.Combine(copy, Packages.BuildFolder);
        Packages.Dotnet(copy, "build", "src/Otto.Ipc.Mmap", "-c", "Release", "-v", "quiet", "-p:RunAnalyzers=false",
            $"-p:Version={Packages.Version}", "-p:ContinuousIntegrationBuild=true", $"-p:ArtifactsPath={build}");
        foreach (string name in (string[])["Otto.Ipc", "Otto.Ipc.Mmap"])
        {
            using ZipArchive package = Packages.Open(name);
            byte[] again = File.ReadAllBytes(Path.Combine(build, "bin", name, "release", $"{name}.dll"));
            bool same = Packages.Bytes(package, $"lib/net10.0/{name}.dll").AsSpan().SequenceEqual(again);
            Assert.That(same, $"{name}.dll is the same wherever it is built");
        }
    }

    [Test]
    public void The_console_template_is_the_readmes_ten_lines_and_runs()
    {
        string app = Packages.New("otto-console", "First");
        string program = File.ReadAllText(Path.Combine(app, "Program.cs"));
        Assert.That(program, Is.EqualTo(ReadmeProgram()));
        Assert.That(program.Trim().Split('\n'), Has.Length.EqualTo(10));
        Packages.Dotnet(app, "build", "-c", "Release", "-v", "quiet", "-p:TreatWarningsAsErrors=true");
        string segments = Packages.MakeFolder("shm-console");
        string output = Repository.Run(app, "env", $"OTTO_SHM_DIR={segments}", "dotnet", "bin/Release/net10.0/First.dll");
        string[] lines = output.Trim().Split('\n');
        Assert.That(lines[^2], Is.EqualTo("a.jpg, attempt 1, came by InProcess"));
        Assert.That(lines[^1], Does.StartWith("InProcess: "));
    }

    [Test]
    public void The_tool_installs_sends_a_task_and_the_worker_template_works_on_it()
    {
        string tools = InstallTool(), app = Packages.New("otto-worker", "Greeter"), segments = Packages.MakeFolder("shm-worker");
        Assert.That(Repository.Run(tools, Path.Combine(tools, "otto"), "--version"), Does.StartWith(Packages.Version));
        Packages.Dotnet(app, "build", "-c", "Release", "-v", "quiet", "-p:TreatWarningsAsErrors=true");
        const string send = "echo '{\"Name\":\"world\"}' | OTTO_REDIS=none OTTO_SHM_DIR=\"$1\" ./otto queue send greetings --as json";
        Repository.Run(tools, "bash", "-c", send, "bash", segments);

        var start = new ProcessStartInfo("dotnet", ["bin/Release/net10.0/Greeter.dll"])
        {
            WorkingDirectory = app,
            RedirectStandardOutput = true,
        };
        start.Environment["OTTO_SHM_DIR"] = segments;
        using Process worker = Process.Start(start)!;
        try
        {
            Task<string?> greeting = Task.Run(() =>
            {
                while (worker.StandardOutput.ReadLine() is { } line)
                    if (line.Contains("Hello", StringComparison.Ordinal)) return line;
                return null;
            });
            string? said = greeting.Wait(TimeSpan.FromSeconds(60)) ? greeting.Result : "nothing for 60 s";
            Assert.That(said, Does.Contain("Hello, world! Attempt 1, route SharedMemory"));
            Repository.Run(tools, "kill", "-INT", $"{worker.Id}");
            Task rest = worker.StandardOutput.ReadToEndAsync();
            Assert.That(worker.WaitForExit(TimeSpan.FromSeconds(60)) ? worker.ExitCode : -1, Is.Zero, "Ctrl-C ends it well");
        }
        finally
        {
            if (!worker.HasExited) worker.Kill();
        }
    }

    [Test]
    public void The_installed_tool_is_native_and_needs_no_dotnet()
    {
        if (Directory.GetFiles(Packages.Folder, "otto.linux-*.nupkg").Length == 0)
            Assert.Ignore("no native linker is installed: apt-get install gcc libc6-dev");
        string tools = InstallTool();
        string program = Directory.GetFiles(Path.Combine(tools, ".store"), "otto", SearchOption.AllDirectories).Single();
        Assert.That(File.ReadAllBytes(program).AsSpan().IndexOf("hostfxr"u8), Is.Negative);
        // Without .NET there are no frameworks to work on, so the demo makes its files itself.
        string segments = Packages.MakeFolder("shm-demo");
        string output = Repository.Run(
            tools, "env", "-i", "PATH=/none", $"OTTO_SHM_DIR={segments}", program, "demo", "--quick", "--json", "-", "--redis", "none");
        string[] lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(lines, Has.Length.EqualTo(2).And.All.Contains("\"tasks\":120,").And.All.Contains("\"lost\":0,\"duplicated\":0"));
        Assert.That(Directory.GetFileSystemEntries(segments), Is.Empty);
    }

    private static string InstallTool()
    {
        string tools = Packages.MakeFolder("tools");
        if (!File.Exists(Path.Combine(tools, "otto")))
            Packages.Dotnet(tools, "tool", "install", "otto", "--version", Packages.Version, "--tool-path", tools);
        return tools;
    }

    private static string ReadmeProgram()
    {
        string readme = File.ReadAllText(Repository.PathOf("README.md"));
        int start = readme.IndexOf("```csharp\n", StringComparison.Ordinal) + "```csharp\n".Length;
        return readme[start..readme.IndexOf("```", start, StringComparison.Ordinal)];
    }
}
