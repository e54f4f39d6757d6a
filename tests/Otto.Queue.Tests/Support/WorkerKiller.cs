using System.Globalization;

namespace Otto.Queue.Tests.Support;

// Each of many tasks loses its worker process, by kill -9, in the middle of its first attempt.

internal static class WorkerKiller
{
    private const int Held = 100;

    /// <summary>Kills until every task has lost a worker, then lets the last one finish.</summary>
    /// <param name="place">Where the peers find the queue.</param>
    /// <param name="queue">The queue, filled with the tasks.</param>
    /// <param name="tasks">How many: numbered from 0.</param>
    /// <param name="isEmpty">Whether the queue holds nothing any more: what was done just
    /// before its worker was killed may be there still.</param>
    /// <param name="launcher">What starts each worker; left out, nothing.</param>
    /// <returns>How many had begun when their worker was killed; a route that counts
    /// deliveries may count one that was only claimed.</returns>
    internal static async Task<int> RunAsync(string place, string queue, int tasks, Func<bool> isEmpty,
        IReadOnlyList<string>? launcher = null)
    {
        HashSet<int> begun = [];
        Dictionary<int, List<int>> done = [];
        int killed = 0;
        while (Untouched() > 0)
        {
            using PeerProcess worker = PeerProcess.StartIn(launcher ?? [], "die", place, queue, $"{Held}");
            int left = Untouched();
            await Eventually.Holds(
                () => worker.Said("started") >= Held
                || left <= Seen(worker.Lines, "started").Concat(Seen(worker.Lines, "done")).Select(static l => l.Task).Count(
                    t => !begun.Contains(t) && !done.ContainsKey(t)));
            worker.Kill();
            killed++;
            Collect(worker);
        }

        using PeerProcess last = PeerProcess.StartIn(launcher ?? [], "die", place, queue, $"{Held}");
        await Eventually.Holds(() => Seen(last.Lines, "done").Select(static l => l.Task).Union(done.Keys).Count() == tasks && isEmpty());
        await last.StopAsync();
        Collect(last);

        int twice = done.Values.Count(static attempts => attempts.Count > 1);
        TestContext.Out.WriteLine($"{tasks} tasks, {killed} workers killed, {begun.Count} tasks begun by them, {twice} done twice "
            + $"because the acknowledgement died with its worker");
        Assert.That(done, Has.Count.EqualTo(tasks), "nothing is lost");
        Assert.That(done.Values.SelectMany(static attempts => attempts), Has.All.GreaterThan(1), "what ran twice says so");
        Assert.That(done.Values, Has.All.Matches<List<int>>(static attempts => attempts!.Distinct().Count() == attempts!.Count),
            "each time as another attempt");
        return begun.Count;

        int Untouched() => tasks - begun.Union(done.Keys).Count();

        void Collect(PeerProcess worker)
        {
            foreach ((int task, _) in Seen(worker.Lines, "started")) Assert.That(begun.Add(task), Is.True,
                $"task {task} twice in its first attempt");
            foreach ((int task, int attempt) in Seen(worker.Lines, "done")) {
                if (!done.TryGetValue(task, out List<int>? attempts)) done.Add(task, attempts = []);
                attempts.Add(attempt);
            }
        }
    }

    private static IEnumerable<(int Task, int Attempt)> Seen(IEnumerable<string> lines, string what)
        => lines.Where(l => l.StartsWith(what, StringComparison.Ordinal)).Select(static l => l.Split(' ')).Select(
            static w => (int.Parse(w[1], CultureInfo.InvariantCulture), int.Parse(w[3], CultureInfo.InvariantCulture)));
}
