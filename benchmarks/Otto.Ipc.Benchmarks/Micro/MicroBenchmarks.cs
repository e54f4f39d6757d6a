using System.CommandLine;
using System.Diagnostics;
using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Otto.Ipc.Benchmarks.Measuring;
using Perfolizer.Horology;

namespace Otto.Ipc.Benchmarks.Micro;

// eng/bench micro: the operations under BenchmarkDotNet, with its memory diagnoser. What allocates otherwise than expected fails the run.

/// <summary>The operations as BenchmarkDotNet runs them.</summary>
[MemoryDiagnoser]
public class MicroBenchmarks
{
    /// <summary>Operations in one invocation: some hand over to another thread, and an
    /// invocation waits for it.</summary>
    public const int InARow = 1000;

    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(1);
    private Operation? _operation;

    /// <summary>Which operation.</summary>
    [ParamsSource(nameof(Names))]
    public string Operation { get; set; } = "";

    /// <summary>The names of all.</summary>
    public static IEnumerable<string> Names => Micro.Operation.All.Select(static make =>
    {
        using Operation operation = make();
        return operation.Name;
    });

    /// <summary>Makes what the operation needs, and runs it until the runtime has compiled
    /// it for good: only then are objects kept off the heap.</summary>
    [GlobalSetup]
    public void SetUp()
    {
        _operation = Micro.Operation.All.Select(static make => make()).First(Keep);
        for (long start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start) < WarmUp;) _operation.Run(InARow);
    }

    /// <summary>Gives it back.</summary>
    [GlobalCleanup]
    public void CleanUp() => _operation?.Dispose();

    /// <summary>The operation.</summary>
    [Benchmark(OperationsPerInvoke = InARow)]
    public void Run() => _operation!.Run(InARow);

    private bool Keep(Operation operation)
    {
        if (operation.Name == Operation) return true;
        operation.Dispose();
        return false;
    }
}

internal static class MicroCommand
{
    public static Command Create()
    {
        var quick = new Option<bool>("--quick") { Description = "A few iterations: to see that it runs, not to quote" };
        var command = new Command("micro", "What happens inside one process, by BenchmarkDotNet, with what it allocates") { quick };
        command.SetAction(parsed => Run(parsed.GetValue(quick)));
        return command;
    }

    private static int Run(bool quick)
    {
        // In this process: a project of its own for each benchmark would have to be restored and built, and
        // what is measured is the same code.
        Job job = Job.Default.WithToolchain(InProcessEmitToolchain.Instance).WithIterationTime(
            TimeInterval.FromMilliseconds(quick ? 50 : 250)).WithWarmupCount(quick ? 2 : 6).WithIterationCount(quick ? 3 : 15);
        string scratch = Interruption.NewPath(Path.GetTempPath());
        Summary summary = BenchmarkRunner.Run<MicroBenchmarks>(
            ManualConfig.CreateMinimumViable().AddJob(job).AddColumn(StatisticColumn.Median).WithSummaryStyle(
                SummaryStyle.Default.WithMaxParameterColumnWidth(60)).WithOptions(ConfigOptions.DisableLogFile).WithArtifactsPath(scratch));
        if (Directory.Exists(scratch)) Directory.Delete(scratch, recursive: true);
        List<string> objections = [];
        foreach (BenchmarkReport report in summary.Reports)
        {
            string name = (string)report.BenchmarkCase.Parameters[nameof(MicroBenchmarks.Operation)];
            double bytes = report.GcStats.GetBytesAllocatedPerOperation(report.BenchmarkCase) ?? 0;
            if (Allocations.Objection(Allocations.Expected, name, bytes) is { } objection) objections.Add(objection);
        }

        foreach (string objection in objections) Console.Error.WriteLine("FAILED: " + objection);
        return objections.Count > 0 || summary.Reports.Length == 0 ? 1 : 0;
    }
}
