using System.Diagnostics;
using Otto.Ipc.Benchmarks.Matrix.Results;

namespace Otto.Ipc.Benchmarks.Tests;

// The benchmarks as a program.

internal static class BenchmarkProgram
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(4);

    /// <param name="directory">Where it is started.</param>
    /// <param name="arguments">What it is told.</param>
    /// <param name="path">Where it finds programs; left out, where we do.</param>
    public static Process Start(string directory, string[] arguments, string? path = null)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "Otto.Ipc.Benchmarks"),
            arguments) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = directory };
        start.Environment["OTTO_BENCH_TOOLS"] = Path.Combine(Checkout.Root, "artifacts", "bin");
        if (path is not null) start.Environment["PATH"] = path;
        return Process.Start(start)!;
    }

    public static (int Code, string Errors) Run(string directory, string[] arguments, string? path = null)
    {
        using Process process = Start(directory, arguments, path);
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(Patience))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail("the run did not end");
        }

        Assert.That(output.Wait(TimeSpan.FromSeconds(10)));
        return (process.ExitCode, errors.Result);
    }
}
