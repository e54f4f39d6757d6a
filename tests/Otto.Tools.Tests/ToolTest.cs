using System.Diagnostics;
using System.Globalization;
using System.Text;
using Otto.Ipc.Conformance;

namespace Otto.Tools.Tests;

// Runs the tools that eng/build left, with an environment and a directory of regions of the test's own.

[TestFixture]
internal abstract class ToolTest
{
    private static readonly TimeSpan Watchdog = TimeSpan.FromSeconds(60);

    protected string Folder { get; private set; } = "";

    [SetUp]
    public void MakeFolder()
    {
        Folder = $"/dev/shm/otto-tools-{Environment.ProcessId}-{TestContext.CurrentContext.Test.ID}";
        Directory.CreateDirectory(Folder);
    }

    /// <summary>Removes the folder, and fails a test that leaves a process running; one
    /// that has failed may have, and it is ended too.</summary>
    [TearDown]
    public void EndProcessesAndRemoveFolder()
    {
        bool failed = TestContext.CurrentContext.Result.Outcome.Status == NUnit.Framework.Interfaces.TestStatus.Failed;
        string[] left = TestHost.EndProcesses($"OTTO_MMAP_DIR={Folder}", failed ? TimeSpan.Zero : TimeSpan.FromSeconds(10));
        Directory.Delete(Folder, recursive: true);
        if (!failed) Assert.That(left, Is.Empty, "processes left running");
    }

    /// <summary>Runs a shell script; the tools are on its path, and regions lie in the test's folder.</summary>
    protected Result Bash(string script, string? input = null) => Run("bash", ["-c", script], input);

    /// <summary>Starts a program and leaves it running; the caller disposes of it.</summary>
    protected Process Start(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8,
        };
        foreach (string name in new[] { "OTTO_MMAP_PATH", "OTTO_PID" }) start.Environment.Remove(name);
        start.Environment["OTTO_MMAP_DIR"] = Folder;
        start.Environment["OTTO_REDIS"] = "none"; // Tests name theirs.
        start.Environment["OTTO_COMPLETION_MS"] = "30000"; // A busy machine takes more than the usual 200.
        start.Environment["PATH"] = ToolFolder() + ":" + Environment.GetEnvironmentVariable("PATH");
        // A program's name without a slash is looked up on this process's own path.
        if (File.Exists(Path.Combine(ToolFolder(), program))) start.FileName = Path.Combine(ToolFolder(), program);
        return Process.Start(start)!;
    }

    protected Result Run(string program, string[] arguments, string? input = null)
    {
        using Process process = Start(program, arguments);
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        if (input is not null) process.StandardInput.Write(input);
        process.StandardInput.Close();
        if (!process.WaitForExit(Watchdog))
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{program} {string.Join(' ', arguments)} ran for more than {Watchdog}");
        }

        var result = new Result(process.ExitCode, output.Result, errors.Result);
        Assert.That(result.Errors, Does.Not.Contain("   at ").And.Not.Contain("Unhandled"), "no stack traces");
        return result;
    }

    /// <summary>Where eng/build left the tools.</summary>
    protected static string ToolFolder()
    {
        // eng/test --redis-client: tools that were built with another client.
        if (Environment.GetEnvironmentVariable("OTTO_TEST_TOOLS") is { Length: > 0 } built) return built;
        string folder = Path.Combine(DocumentExamples.Root, "artifacts", "bin");
        return File.Exists(Path.Combine(folder, "otto-mmap-read")) ? folder
            : throw new InvalidOperationException($"there are no tools in {folder}; run eng/build first");
    }

    internal sealed record Result(int Code, string Output, string Errors)
    {
        public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"exit {Code}\n{Output}\n{Errors}");
    }
}
