using System.Globalization;

namespace Otto.Queue.Tests.Support;

// One task that kills its worker, among innocent ones: a worker process is started again each time it has died, until all are over.

internal static class PoisonRun
{
    /// <summary>Runs worker processes until the innocent tasks are done and task 0 is a dead letter.</summary>
    /// <param name="place">Where the peers find the queue.</param>
    /// <param name="queue">The queue.</param>
    /// <param name="producer">Has the queue too.</param>
    /// <param name="innocents">How many tasks beside task 0.</param>
    /// <param name="concurrency">The workers' concurrency.</param>
    /// <param name="milliseconds">How long each task takes.</param>
    /// <param name="retries">The limit of retries.</param>
    internal static async Task RunAsync(string place, string queue, TaskQueue producer, int innocents, int concurrency, int milliseconds,
        int retries)
    {
        // In the middle, so that others run beside it and behind it.
        int half = innocents / 2;
        foreach (int number in Enumerable.Range(1, half).Append(0).Concat(Enumerable.Range(1 + half, innocents - half)))
            await producer.EnqueueAsync(BitConverter.GetBytes(number), new() { Durability = Durability.Process });
        List<PeerProcess> workers = [];
        try
        {
            int died = 0;
            while (true)
            {
                PeerProcess worker = PeerProcess.Start("poison", place, queue, Text(concurrency), Text(milliseconds), Text(retries));
                workers.Add(worker);
                await Eventually.Holds(() => worker.HasExited || IsOver());
                if (!worker.HasExited)
                {
                    await worker.StopAsync();
                    break;
                }

                await worker.ExitAsync();
                died++;
                Assert.That(died, Is.LessThanOrEqualTo(retries + 3), "its attempts have an end");
            }

            IReadOnlyList<DeadLetteredTask> dead = await producer.DeadLetters.ListAsync(queue);
            int[] began = [.. workers.SelectMany(static w => w.Lines).Where(static l => l.StartsWith("began 0 ", StringComparison.Ordinal))
                .Select(static l => int.Parse(l.Split(' ')[3], CultureInfo.InvariantCulture))];
            TestContext.Out.WriteLine($"{innocents} innocent tasks, concurrency {concurrency}, {milliseconds} ms, {retries} retries: "
                + $"{died} workers died, task 0 began as attempt {string.Join(", ", began)}; dead: "
                + $"{string.Join("; ", dead.Select(static d => d.Reason))}");
            Assert.That(dead.Select(static d => BitConverter.ToInt32(d.Payload.Span)), Is.EqualTo(new[] { 0 }), "only the culprit");
            Assert.That(dead[0].Reason, Does.Contain("its worker process died while it ran it"));
            Assert.That(began, Has.Length.InRange(retries + 1, retries + 2));
        }
        finally
        {
            foreach (PeerProcess worker in workers) worker.Dispose();
        }

        bool IsOver() => Enumerable.Range(1, innocents).All(n => workers.Sum(w => w.Said($"done {n} ")) > 0)
            && producer.DeadLetters.ListAsync(queue).AsTask().Result.Count > 0;
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
