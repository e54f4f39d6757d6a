using System.IO.Compression;
using System.Xml.Linq;

namespace Otto.Repository.Tests;

// What eng/pack makes, once for all tests that need it, in a folder of their own, with a package cache and templates of their own.

[SetUpFixture]
internal sealed class Packages
{
    // The build is kept below artifacts and only what changed is built again. No cache but ours ever sees this version, so none can
    // answer with an older build.
    public const string Version = "0.1.0-test", BuildFolder = "artifacts/pack-test";

    private static readonly Lazy<DirectoryInfo> Scratch = new(() => Directory.CreateTempSubdirectory("otto-package-test-"));
    private static readonly Lazy<string> Packed = new(Pack);

    /// <summary>The folder of packages, which is a source for NuGet too.</summary>
    public static string Folder => Packed.Value;

    public static string[] Libraries { get; } =
    [
        .. Directory.GetDirectories(Repository.PathOf("src")).Select(path => Path.GetFileName(path)!)
            .Where(name => File.Exists(Repository.PathOf($"src/{name}/{name}.csproj"))).Order(StringComparer.Ordinal),
    ];

    public static string MakeFolder(string name) => Scratch.Value.CreateSubdirectory(name).FullName;

    /// <summary>Runs dotnet with the packages as a source, and with a package cache of its own.</summary>
    public static string Dotnet(string directory, params string[] arguments)
    {
        string home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        string usual = Environment.GetEnvironmentVariable("NUGET_PACKAGES") ?? Path.Combine(home, ".nuget", "packages");
        File.WriteAllText(
            Path.Combine(Scratch.Value.FullName, "nuget.config"),
            $"<configuration><packageSources><add key=\"otto-packages\" value=\"{Folder}\" /></packageSources></configuration>");
        return Repository.Run(
            directory, "env",
            [
                $"NUGET_PACKAGES={Path.Combine(Scratch.Value.FullName, "cache")}", $"NUGET_FALLBACK_PACKAGES={usual}",
                "DOTNET_CLI_TELEMETRY_OPTOUT=1", "DOTNET_NOLOGO=1", "MSBUILDDISABLENODEREUSE=1", "dotnet", .. arguments,
            ]);
    }

    /// <summary>Makes a project from a template of the package.</summary>
    public static string New(string template, string name)
    {
        string hive = MakeFolder("templates");
        if (Directory.GetFileSystemEntries(hive).Length == 0)
            Dotnet(hive, "new", "install", Path.Combine(Folder, $"Otto.Templates.{Version}.nupkg"), "--debug:custom-hive", hive);
        string project = MakeFolder(name);
        Dotnet(project, "new", template, "--debug:custom-hive", hive);
        return project;
    }

    public static ZipArchive Open(string package) => ZipFile.OpenRead(Path.Combine(Folder, $"{package}.{Version}.nupkg"));

    public static XElement Metadata(ZipArchive package)
    {
        using Stream nuspec = package.Entries.Single(entry => entry.FullName.EndsWith(".nuspec", StringComparison.Ordinal)).Open();
        XElement root = XDocument.Load(nuspec).Root!;
        foreach (XElement element in root.DescendantsAndSelf()) element.Name = element.Name.LocalName;
        return root.Element("metadata")!;
    }

    public static byte[] Bytes(ZipArchive package, string path)
    {
        using Stream stream = package.GetEntry(path)!.Open();
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }

    [OneTimeTearDown]
    public void RemoveFolder()
    {
        if (Scratch.IsValueCreated) Scratch.Value.Delete(recursive: true);
    }

    private static string Pack()
    {
        string folder = MakeFolder("packages");
        Repository.Run(
            Repository.Root, "env", "MSBUILDDISABLENODEREUSE=1", Repository.PathOf("eng/pack"),
            $"-p:Version={Version}", $"-p:PackageOutputPath={folder}", $"-p:ArtifactsPath={Repository.PathOf(BuildFolder)}");
        return folder;
    }
}
