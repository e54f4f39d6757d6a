using System.Diagnostics;
using Otto.Ipc.Benchmarks.Measuring;

namespace Otto.Ipc.Benchmarks.Matrix.Hosts;

// The real bash.

/// <param name="Code">The exit code; -1 where it was ended for taking too long.</param>
internal sealed record ShellRun(int Code, string Output, string Errors);

internal static class Shell
{
    /// <summary>Runs a script to its end, or to the end of patience.</summary>
    /// <param name="script">What to run.</param>
    /// <param name="timeout">How long it may take.</param>
    /// <param name="path">The only directory in which it finds programs; left out, those of this process.</param>
    /// <param name="tools">Whether it also finds the tools of this repository.</param>
    /// <param name="message">What it finds in <c>MESSAGE</c>.</param>
    public static ShellRun Run(string script, TimeSpan timeout, string? path = null, bool tools = false, string? message = null)
    {
        var start = new ProcessStartInfo("/bin/bash", ["-c", script]) { RedirectStandardInput = true, RedirectStandardOutput = true,
            RedirectStandardError = true };
        string programs = path ?? Environment.GetEnvironmentVariable("PATH") ?? "";
        start.Environment["PATH"] = tools ? $"{BuiltTools.Directory}:{programs}" : programs;
        if (message is not null) start.Environment["MESSAGE"] = message;
        Process process = Interruption.Start(start);
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        bool ended = process.WaitForExit(timeout);
        if (!ended) process.Kill(entireProcessTree: true);
        // What it left running may hold its output open.
        Task.WaitAll([output, errors], TimeSpan.FromSeconds(2));
        int code = ended ? process.ExitCode : -1;
        Interruption.Ended(process);
        return new ShellRun(code, output.IsCompleted ? output.Result : "", errors.IsCompleted ? errors.Result : "");
    }
}

/// <summary>The tools that <c>eng/build</c> leaves.</summary>
internal static class BuiltTools
{
    /// <summary>Where they are; <c>eng/bench</c> says so.</summary>
    public static string Directory { get; } = Environment.GetEnvironmentVariable("OTTO_BENCH_TOOLS") ?? "";

    public static bool AreThere => File.Exists(Path.Combine(Directory, "otto"));
}
