using System.Diagnostics;
using System.Text;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Files.Tests;

// The real bash, cat, jq and flock.

internal sealed record ShellResult(int Code, string Output, string Errors);

internal static class Shell
{
    /// <summary>Runs a script to its end.</summary>
    public static ShellResult Run(string directory, string script)
    {
        using Process process = Start(directory, script);
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        process.StandardInput.Close();
        if (!process.WaitForExit(Watchdog.BulkLimit))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"a script did not end: {script}");
        }

        return new ShellResult(process.ExitCode, output.Result, errors.Result);
    }

    /// <summary>Starts a script and leaves it running; the caller disposes of it.</summary>
    public static Process Start(string directory, string script)
    {
        var start = new ProcessStartInfo("bash", ["-c", script])
        {
            WorkingDirectory = directory,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8,
        };
        return Process.Start(start)!;
    }
}
