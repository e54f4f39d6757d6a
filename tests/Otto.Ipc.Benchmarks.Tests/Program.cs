using System.Diagnostics;
using Otto.Ipc.Benchmarks.Matrix.Results;

namespace Otto.Ipc.Benchmarks.Tests;

// The benchmarks as a program.

internal static class Program
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(4);

    public static Process Start(string directory, params string[] arguments)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "Otto.Ipc.Benchmarks"), arguments) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = directory };
        start.Environment["OTTO_BENCH_TOOLS"] = Path.Combine(Checkout.Root, "artifacts", "bin");
        return Process.Start(start)!;
    }

    public static (int Code, string Errors) Run(string directory, params string[] arguments)
    {
        using Process process = Start(directory, arguments);
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
