using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap.Doorbells;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Tests.Doorbells;

// I10: idle costs nothing. Counted by the kernel, over all threads of a real process, for several seconds.

[TestFixture]
[NonParallelizable]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class IdleWakeupTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void A_process_that_waits_in_every_way_wakes_at_most_once_a_second()
    {
        // Compiled once and for all: the runtime's own thread, which compiles again what was called thirty times, is not what is counted.
        using PeerProcess idler = _workspace.StartWith([("DOTNET_TieredCompilation", "0")], "idle", "it");
        idler.WaitFor("ready");
        // Once it has settled: the first seconds belong to the runtime's own start.
        const int Seconds = 4;
        double least = double.MaxValue;
        TimeSpan leastCpu = TimeSpan.MaxValue;
        for (int window = 0; window < 12 && least > 1.25; window++)
        {
            Dictionary<string, long> before = Switches(idler.Id);
            TimeSpan cpuBefore = Cpu(idler.Id);
            Thread.Sleep(TimeSpan.FromSeconds(Seconds)); // the window is what is measured
            Dictionary<string, long> after = Switches(idler.Id);
            double rate = after.Sum(thread => thread.Value - before.GetValueOrDefault(thread.Key)) / (double)Seconds;
            IEnumerable<string> switched = after.Select(t => (t.Key, Count: t.Value - before.GetValueOrDefault(t.Key)))
                .Where(static t => t.Count > 0).Select(static t => $"{t.Key} {t.Count}");
            TestContext.Out.WriteLine($"window {window}: {rate} switches per second; {string.Join(", ", switched)}");
            // A window in which a thread ended has lost its count; another one follows.
            if (!before.Keys.All(after.ContainsKey)) continue;
            least = Math.Min(least, rate);
            leastCpu = TimeSpan.FromTicks(Math.Min(leastCpu.Ticks, (Cpu(idler.Id) - cpuBefore).Ticks));
        }

        Assert.That(least, Is.LessThanOrEqualTo(1.25), "wake-ups a second; one look more or less falls into a window of four");
        Assert.That(least, Is.Positive, "it does look around: a counter that counts nothing would pass too");
        // One that looks all the time never goes to sleep, and would wake for nothing.
        Assert.That(leastCpu, Is.LessThan(TimeSpan.FromSeconds(Seconds) / 10));
        idler.Say("finish");
        Assert.That(idler.WaitForExit(), Is.Zero, idler.Errors);
    }

    [Test]
    public void A_process_in_portable_mode_polls_instead_of_sleeping_in_the_kernel()
    {
        using PeerProcess idler = _workspace.StartWith([("OTTO_PLATFORM", "portable")], "idle", "portable");
        idler.WaitFor("ready");
        long before = Switches(idler.Id).Values.Sum();
        // A waiter that sleeps on a word wakes once a second; one that looks every few milliseconds is here in a few seconds.
        Watchdog.Until(() => Switches(idler.Id).Values.Sum() - before > 500, "the looks of portable waiters");
        idler.Say("finish");
        Assert.That(idler.WaitForExit(), Is.Zero, idler.Errors);
    }

    [Test]
    public async Task Two_thousand_async_waiters_share_a_thread_for_each_127()
    {
        const int Waiters = 2000;
        using WorkQueue sender = _workspace.Transport.OpenQueue("jobs", new MmapQueueOptions { Slots = 4096, MaxParticipants = 16 });
        using WorkQueue worker = _workspace.Transport.OpenQueue("jobs");
        int before = Threads();
        Task<bool>[] waiting = [.. Enumerable.Range(0, Waiters).Select(async _ => (await worker.LeaseAsync()).Complete())];
        Watchdog.Until(() => Threads() - before > 0 || !WaitWord.CanSleepOnMany, "the waiters' threads");
        Assert.That(Threads() - before, Is.LessThanOrEqualTo((Waiters + 126) / 127 + 8), "and some of the thread pool's");
        for (int i = 0; i < Waiters; i++)
        {
            while (!sender.TrySend("x"u8)) sender.WaitToSend(Watchdog.Limit);
        }

        bool[] done = await Watchdog.WaitAsync(Task.WhenAll(waiting));
        Assert.That(done, Is.All.True);
    }

    [Test]
    public async Task Hundreds_of_streams_each_wake_their_own_receiver()
    {
        const int Streams = 300;
        var options = new MmapStreamOptions { Capacity = 4096, MaxSenders = 1 };
        MessageReceiver[] receivers = [.. Enumerable.Range(0, Streams).Select(i => _workspace.Transport.OpenReceiver($"s{i}", options))];
        MessageSender[] senders = [.. Enumerable.Range(0, Streams).Select(i => _workspace.Transport.OpenSender($"s{i}", options))];
        Task<bool>[] waiting = [.. receivers.Select(r => r.WaitToReceiveAsync().AsTask())];
        for (int i = Streams - 1; i >= 0; i -= 2) senders[i].TrySend("x"u8);
        for (int i = Streams - 1; i >= 0; i -= 2) Assert.That(await Watchdog.WaitAsync(waiting[i]), Is.True);
        for (int i = 0; i < Streams; i += 2) Assert.That(waiting[i].IsCompleted, Is.False, $"stream {i} got nothing");
        for (int i = 0; i < Streams; i += 2) senders[i].TrySend("x"u8);
        await Watchdog.WaitAsync(Task.WhenAll(waiting));
        foreach (MessageSender sender in senders) sender.Dispose();
        foreach (MessageReceiver receiver in receivers) receiver.Dispose();
    }

    private static TimeSpan Cpu(int pid)
    {
        using var process = Process.GetProcessById(pid);
        return process.TotalProcessorTime;
    }

    private static int Threads() => Directory.GetDirectories("/proc/self/task").Length;

    /// <summary>How often each thread went to sleep, which is how often it woke, by its
    /// number and name. Having its core taken away is no wake-up.</summary>
    private static Dictionary<string, long> Switches(int pid)
    {
        var switches = new Dictionary<string, long>();
        foreach (string task in Directory.GetDirectories($"/proc/{pid}/task"))
        {
            try
            {
                string[] lines = File.ReadAllLines(Path.Combine(task, "status"));
                switches[$"{Path.GetFileName(task)} ({lines[0]["Name:".Length..].Trim()})"] = lines
                    .Where(line => line.StartsWith("voluntary_ctxt_switches", StringComparison.Ordinal))
                    .Sum(line => long.Parse(line.AsSpan(line.IndexOf(':') + 1).Trim(), CultureInfo.InvariantCulture));
            }
            catch (IOException)
            {
                // A thread that ended between the listing and the look.
            }
        }

        return switches;
    }
}
