using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Benchmarks.Matrix.Hosts;
using Otto.Ipc.Benchmarks.Matrix.Results;
using Otto.Ipc.Benchmarks.Matrix.Subjects;
using Otto.Ipc.Benchmarks.Measuring;

namespace Otto.Ipc.Benchmarks.Matrix.Probes;

// Everybody in one run: each subject, the peers among them, several times, in an order that is drawn anew each time. What ran next to whom
// is then chance, and a machine that grows faster or slower does so for all of them.

/// <summary>How long and how often.</summary>
/// <param name="Window">How long each measurement lasts.</param>
/// <param name="Repeats">How often each subject's turn comes.</param>
/// <param name="Again">How long may be spent on measuring once more what lies elsewhere
/// than expected, all subjects together.</param>
/// <param name="Seed">Draws the order.</param>
internal sealed record SpeedPlan(TimeSpan Window, int Repeats, TimeSpan Again, int Seed);

internal sealed class SpeedMeasurement(SpeedPlan plan)
{
    public static readonly int[] Sizes = [64, 1 << 10, 64 << 10, 1 << 20];
    private const int MostAgain = 8, MostFailures = 3;
    private static readonly TimeSpan WarmUp = TimeSpan.FromMilliseconds(150);

    private string _now = "";

    /// <summary>What went wrong on the way: a message that never came, or another than was sent.</summary>
    public List<Failure> Failures { get; } = [];

    public List<SpeedResult> Run(IReadOnlyList<Subject> subjects, Action<string> say)
    {
        var draw = new Random(plan.Seed);
        var turns = new Dictionary<(Subject, int), List<Turn>>();
        for (int repeat = 0; repeat < plan.Repeats; repeat++)
        {
            Subject[] order = [.. subjects];
            draw.Shuffle(order);
            foreach (Subject subject in order)
            {
                int[] sizes = [.. Sizes];
                draw.Shuffle(sizes);
                foreach ((int bytes, Turn turn) in TurnThatEnds(subject, sizes, say))
                {
                    if (!turns.TryGetValue((subject, bytes), out List<Turn>? mine)) turns[(subject, bytes)] = mine = [];
                    mine.Add(turn);
                }
            }

            say($"speed: repeat {repeat + 1} of {plan.Repeats}, {string.Join(", ", order.Select(s => s.Name))}");
        }

        // What contradicts a claim is measured again before it is believed: other work on the machine only ever adds time, so the least of
        // many tries comes close to what there is.
        long began = Stopwatch.GetTimestamp();
        foreach (Subject subject in subjects.Where(static s => s.IsColumn))
        {
            if (!turns.TryGetValue((subject, Sizes[0]), out List<Turn>? mine)) continue;
            for (int again = 0; again < MostAgain && Stopwatch.GetElapsedTime(began) < plan.Again
                && IsElsewhere(subject, Summarise(subject, Sizes[0], mine)); again++)
            {
                say($"speed: {subject.Name} once more, since its numbers lie elsewhere than expected");
                mine.AddRange(TurnThatEnds(subject, Sizes[..1], say).Select(static t => t.Turn));
            }
        }

        return [.. from subject in subjects from bytes in Sizes where turns.ContainsKey((subject, bytes)) select Summarise(subject, bytes,
            turns[(subject, bytes)])];
    }

    // Without the tolerance of a verdict: what needs it is tried again first.
    private static bool IsElsewhere(Subject subject, SpeedResult result) => subject.Leaning is { } leaning
        && (Verdicts.Speed(result.QuietestMicroseconds) != leaning.Speed || Verdicts.Overhead(result.CpuMicroseconds) != leaning.Overhead);

    // A turn that failed is told, and taken again, so that one subject's failure does not cost everybody's
    // figures. One that keeps failing is left out.
    private List<(int Bytes, Turn Turn)> TurnThatEnds(Subject subject, int[] sizes, Action<string> say)
    {
        while (Failures.Count(f => f.Title == subject.Title) < MostFailures)
        {
            try
            {
                return [.. TakeTurn(subject, sizes)];
            }
            catch (Exception e) when (ProbeException.Covers(e))
            {
                Failures.Add(new Failure(subject.Title, Workspace.Forget($"{_now}: {e.Message}"), subject.Traits is not null));
                say($"failed: {subject.Title}, {Failures[^1].What}");
            }
        }

        return [];
    }

    private IEnumerable<(int Bytes, Turn Turn)> TakeTurn(Subject subject, int[] sizes)
    {
        _now = "starting";
        using Workspace workspace = subject.OpenWorkspace();
        using EndpointPair pair = new EndpointPair(subject, workspace);
        // The runtime compiles what runs often once more, and better.
        Pour(subject, workspace, pair, "warm-pour", 64, WarmUp);
        Call(subject, pair, "warm-call", 64, WarmUp, WaitStyle.Asleep);
        if (subject.CanStayAwake) Call(subject, pair, "warm-awake", 64, WarmUp, WaitStyle.Awake);
        foreach (int bytes in sizes)
        {
            int sent = Math.Min(bytes, subject.MostMeasuredBytes);
            string channel = string.Create(CultureInfo.InvariantCulture, $"s{bytes}");
            yield return (bytes, Pour(subject, workspace, pair, channel + "-pour", sent, plan.Window) with
            {
                Awake = subject.CanStayAwake ? Call(subject, pair, channel + "-awake", sent, plan.Window, WaitStyle.Awake) : Trips.None,
                Asleep = Call(subject, pair, channel + "-asleep", sent, plan.Window, WaitStyle.Asleep),
            });
        }
    }

    private Turn Pour(Subject subject, Workspace workspace, EndpointPair pair, string channel, int bytes, TimeSpan window)
    {
        _now = string.Create(CultureInfo.InvariantCulture, $"{bytes:N0} B, a busy run ({channel})");
        pair.Open(channel, new LinkOptions(bytes));
        double server = workspace.ServerId is { } id ? ProcessCounters.Of(id).CpuSeconds : 0;
        pair.Receiver.Request("drain");
        pair.Sender.Request(string.Create(CultureInfo.InvariantCulture, $"pour {window.TotalMilliseconds:0} {bytes}"));
        (string sender, string receiver) = pair.ReadBothAnswers();
        long[] sent = Numbers(sender), read = Numbers(receiver);
        if (sent[0] != read[0]) throw new ProbeException($"{sent[0]:N0} were sent and {read[0]:N0} read");
        double others = workspace.ServerId is { } same ? (ProcessCounters.Of(same).CpuSeconds - server) * 1e6 : 0;
        pair.Close();
        // Of two threads of one process either knows what both cost.
        long cpu = subject.InProcess ? read[2] : sent[2] + read[2], allocated = subject.InProcess ? read[3] : sent[3] + read[3];
        double seconds = (read[1] - sent[1]) / (double)Stopwatch.Frequency;
        return new Turn(sent[0] / seconds, (cpu + others) / sent[0], allocated / (double)sent[0]);
    }

    private Trips Call(Subject subject, EndpointPair pair, string channel, int bytes, TimeSpan window, WaitStyle waiting)
    {
        _now = string.Create(CultureInfo.InvariantCulture, $"{bytes:N0} B, round trips ({channel})");
        pair.OpenDuplex(channel, new LinkOptions(bytes, waiting));
        string how = waiting == WaitStyle.Awake ? "awake" : "asleep";
        pair.Receiver.Request($"echo {how}");
        pair.Sender.Request(string.Create(CultureInfo.InvariantCulture, $"call {window.TotalMilliseconds:0} {how} {bytes}"));
        string[] answer = pair.ReadBothAnswers().Sender.Split(' ');
        pair.Close();
        return new Trips(Parse(answer[0]),
            [.. answer[1..].Select(static p => p.Split(':')).Select(static p => new Percentile(Parse(p[0]), Parse(p[1])))]);
    }

    private static SpeedResult Summarise(Subject subject, int bytes, List<Turn> turns) => new()
    {
        Subject = subject.Name,
        Title = subject.Title,
        Bytes = bytes,
        SentBytes = Math.Min(bytes, subject.MostMeasuredBytes),
        Rates = turns.ConvertAll(static t => Math.Round(t.Rate, 1)),
        QuietestMicroseconds = turns.Min(static t => Math.Min(t.Awake.Quietest, t.Asleep.Quietest)),
        Awake = Medians(turns.ConvertAll(static t => t.Awake.All)),
        AwakeMedians = [.. turns.SelectMany(static t => t.Awake.All.Where(static p => p.Percent == 50)).Select(static p => p.Microseconds)],
        Asleep = Medians(turns.ConvertAll(static t => t.Asleep.All)),
        AsleepMedians = [.. turns.SelectMany(static t => t.Asleep.All.Where(static p => p.Percent == 50)).Select(
            static p => p.Microseconds)],
        CpuMicroseconds = Math.Round(turns.Min(static t => t.Cpu), 4),
        AllocatedBytes = Math.Round(Result.Median(turns.Select(static t => t.Allocated)), 2),
    };

    private static IReadOnlyList<Percentile> Medians(List<IReadOnlyList<Percentile>> distributions) =>
    [
        .. MeasurementLoops.Percentiles.Where(p => distributions.TrueForAll(d => d.Any(q => q.Percent == p)))
            .Select(p => new Percentile(p,
                Math.Round(Result.Median(distributions.Select(d => d.First(q => q.Percent == p).Microseconds)), 3))),
    ];

    private static long[] Numbers(string text) => [.. text.Split(' ').Select(static w => long.Parse(w, CultureInfo.InvariantCulture))];

    private static double Parse(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    private sealed record Turn(double Rate, double Cpu, double Allocated)
    {
        public Trips Awake { get; init; } = Trips.None;

        public Trips Asleep { get; init; } = Trips.None;
    }

    private sealed record Trips(double Quietest, IReadOnlyList<Percentile> All)
    {
        public static readonly Trips None = new(double.MaxValue, []);
    }
}
