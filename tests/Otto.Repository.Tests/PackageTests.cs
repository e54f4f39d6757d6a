namespace Otto.Repository.Tests;

// A stranger's first ten minutes: the packages from a folder, the README's program pasted into a new project.

public sealed class PackageTests
{
    [Test]
    public void The_readmes_ten_lines_run_against_the_packages()
    {
        string program = ReadmeProgram();
        Assert.That(program.Trim().Split('\n'), Has.Length.EqualTo(10));

        DirectoryInfo directory = Directory.CreateTempSubdirectory("otto-package-test-");
        try
        {
            string packages = Path.Combine(directory.FullName, "packages");
            // A version of its own: the user's package cache would otherwise answer with an older build.
            string version = $"0.1.0-test.{Environment.ProcessId}.{Environment.TickCount64}";
            Repository.Run(Repository.Root, Repository.PathOf("eng/pack"),
                $"-p:Version={version}", $"-p:PackageOutputPath={packages}", "--artifacts-path", Path.Combine(directory.FullName, "build"));

            string app = directory.CreateSubdirectory("app").FullName;
            File.WriteAllText(Path.Combine(app, "Program.cs"), program);
            File.WriteAllText(Path.Combine(app, "app.csproj"), $"""
                <Project Sdk="Microsoft.NET.Sdk">
                  <PropertyGroup>
                    <OutputType>Exe</OutputType>
                    <TargetFramework>net10.0</TargetFramework>
                    <ImplicitUsings>enable</ImplicitUsings>
                    <Nullable>enable</Nullable>
                    <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
                    <RestoreAdditionalProjectSources>{packages}</RestoreAdditionalProjectSources>
                    <RestorePackagesPath>{Path.Combine(directory.FullName, "cache")}</RestorePackagesPath>
                  </PropertyGroup>
                  <ItemGroup>
                    <PackageReference Include="Otto.Queue" Version="{version}" />
                  </ItemGroup>
                </Project>
                """);
            string output = Repository.Run(app, "env", $"OTTO_SHM_DIR={directory.CreateSubdirectory("shm").FullName}", "dotnet", "run");
            string[] lines = output.Trim().Split('\n');
            Assert.That(lines[^2], Is.EqualTo("a.jpg, attempt 1, came by InProcess"));
            Assert.That(lines[^1], Does.StartWith("InProcess: "));
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    private static string ReadmeProgram()
    {
        string readme = File.ReadAllText(Repository.PathOf("README.md"));
        int start = readme.IndexOf("```csharp\n", StringComparison.Ordinal) + "```csharp\n".Length;
        return readme[start..readme.IndexOf("```", start, StringComparison.Ordinal)];
    }
}
