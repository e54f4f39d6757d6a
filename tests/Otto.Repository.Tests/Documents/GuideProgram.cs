using System.Collections.Immutable;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Otto.Repository.Tests.Documents;

// A program of a page, compiled as "dotnet new console" would compile it, against the libraries that eng/docs describes.

internal static class GuideProgram
{
    private static readonly string[] ImplicitUsings =
    [
        "System", "System.Collections.Generic", "System.IO", "System.Linq", "System.Net.Http", "System.Threading", "System.Threading.Tasks",
    ];

    private static readonly Lazy<ImmutableArray<MetadataReference>> References = new(static () =>
        [
            .. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
                .Select(static path => MetadataReference.CreateFromFile(path)),
        ]);

    /// <summary>Compiles a program, without warnings, into a directory of its own.</summary>
    /// <param name="source">The program.</param>
    /// <param name="directory">Where its assembly and the libraries go.</param>
    /// <returns>The assembly's path, or what the compiler says.</returns>
    public static (string? Assembly, IReadOnlyList<string> Errors) Compile(string source, string directory)
    {
        CSharpParseOptions parse = new(LanguageVersion.Latest);
        string usings = string.Concat(ImplicitUsings.Select(static name => $"global using {name};\n"));
        var compilation = CSharpCompilation.Create(
            "Guide",
            [CSharpSyntaxTree.ParseText(usings, parse), CSharpSyntaxTree.ParseText(source, parse)],
            References.Value,
            new CSharpCompilationOptions(OutputKind.ConsoleApplication)
                .WithNullableContextOptions(NullableContextOptions.Enable).WithOptimizationLevel(OptimizationLevel.Release));

        Directory.CreateDirectory(directory);
        string assembly = Path.Combine(directory, "Guide.dll");
        var result = compilation.Emit(assembly);
        List<string> errors = [.. from d in result.Diagnostics where d.Severity >= DiagnosticSeverity.Warning select d.ToString()];
        if (errors.Count > 0) return (null, errors);

        // Without a list of dependencies the host takes what is beside the program.
        string libraries = TestContext.CurrentContext.TestDirectory;
        foreach (string library in Directory.EnumerateFiles(libraries, "*.dll"))
            File.CreateSymbolicLink(Path.Combine(directory, Path.GetFileName(library)), library);
        File.Copy(Path.Combine(libraries, "Otto.Repository.Site.runtimeconfig.json"), Path.Combine(directory, "Guide.runtimeconfig.json"));
        return (assembly, []);
    }
}
