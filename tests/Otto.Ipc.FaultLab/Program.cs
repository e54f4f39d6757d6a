using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.FaultLab;

// eng/faults [--seconds N] [--seed S] [--json FILE]: kills and stops real processes at every step of every protocol, and counts.

if (args is ["planted", var index]) return Planted(int.Parse(index, CultureInfo.InvariantCulture));

var seconds = new Option<int>("--seconds") { Description = "How long to run schedules by chance, after every point was run once",
    DefaultValueFactory = _ => 60 };
var seed = new Option<int>("--seed") { Description = "Where chance begins; the same seed makes the same schedules",
    DefaultValueFactory = _ => 1 };
var json = new Option<FileInfo?>("--json") { Description = "Also write the results to FILE, one JSON object a line" };
var @short = new Option<bool>("--short") { Description = "Planted bugs and every point once, no more: what eng/test runs" };
var point = new Option<string?>("--point") { Description = "Only cases at this fault point" };
var signal = new Option<string?>("--signal") { Description = "Only KILL, or only STOP" };
var atOnce = new Option<int>("--at-once") { Description = "How many runs go on at a time", DefaultValueFactory = _ => 4 };
var run = new Option<int?>("--run") { Description = "Only this run by chance of the seed" };
var hostile = new Option<int>("--hostile") { Description = "Spoilt segments of each shape", DefaultValueFactory = _ => 4_000 };
seconds.Validators.Add(r =>
{
    if (r.GetValue(seconds) is < 0 or > 86_400) r.AddError("--seconds must be 0 to 86400");
});
signal.AcceptOnlyFromAmong("KILL", "STOP");

atOnce.Validators.Add(r =>
{
    if (r.GetValue(atOnce) is < 1 or > 64) r.AddError("--at-once must be 1 to 64");
});

var root = new RootCommand("Kills and stops real processes at every step of every protocol in shared memory, and counts what was lost.")
{
    seconds, seed, json, @short, point, signal, run, atOnce, hostile,
};
root.SetAction(parsed =>
{
    long start = Stopwatch.GetTimestamp();
    using TextWriter? output = parsed.GetValue(json) is { } file ? new StreamWriter(file.FullName) : null;
    var lab = new Lab(parsed.GetValue(seed), output, parsed.GetValue(atOnce));
    string? only = parsed.GetValue(point);
    if (parsed.GetValue(run) is { } number)
    {
        lab.RunByNumber(number);
    }
    else if (only is not null || parsed.GetValue(signal) is not null)
    {
        lab.EveryPoint(fault => only is null || fault.Point == only, parsed.GetValue(signal));
    }
    else
    {
        lab.CheckPlan();
        lab.CatchBugs();
        lab.EveryPoint(_ => true, null);
        if (!parsed.GetValue(@short))
        {
            Console.Error.WriteLine($"  {lab.Chance(TimeSpan.FromSeconds(parsed.GetValue(seconds)))} runs by chance");
            lab.Hostile(parsed.GetValue(hostile));
        }
    }

    lab.WriteResults();
    Print(lab, Stopwatch.GetElapsedTime(start));
    return lab.Failed ? 1 : 0;
});
return root.Parse(args).Invoke();

static void Print(Lab lab, TimeSpan took)
{
    Console.WriteLine($"{"point",-32} {"signal",-6} {"runs",5} {"lost",5} {"duplicated",10} {"reordered",9} {"worst stall",12}");
    foreach (PointResult r in lab.Results)
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{r.Point,-32} {r.Signal,-6} {r.Runs,5} {r.Lost,5} {r.Duplicated,10} {r.Reordered,9} {r.WorstStallMs,9:F1} ms"));
    Console.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"{lab.Results.Sum(r => r.Runs)} runs in {took.TotalSeconds:F0} s: "
        + $"{(lab.Failed ? $"{lab.Failures.Count} promises broken" : "every promise held")}"));
    foreach (string failure in lab.Failures.Take(20)) Console.WriteLine($"  {failure}");
}

// This process has the bug: it must find something, of the right kind. Exit code 0 says that it did.
static int Planted(int index)
{
    (_, FaultCase fault, bool kill, string rule) = FaultPlan.Bugs[index];
    // Some bugs are a matter of timing; three chances, then it counts as not seen.
    for (int i = 0; i < 3; i++)
    {
        Findings findings = Lab.Play(fault, kill, new Random(index), mustReach: true, TimeSpan.FromSeconds(5));
        if (findings.Problems.FirstOrDefault(problem => problem.Contains(rule, StringComparison.Ordinal)) is not { } found) continue;
        Console.WriteLine(found);
        return 0;
    }

    return 1;
}
