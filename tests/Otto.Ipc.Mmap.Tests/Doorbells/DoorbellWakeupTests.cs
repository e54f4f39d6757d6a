using Otto.Ipc.Conformance;
using Otto.Ipc.Endpoints;
using Otto.Ipc.Mmap.Doorbells;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Mmap.Streams;

namespace Otto.Ipc.Mmap.Tests.Doorbells;

// No wake-up is lost, whoever else announces, rings, cancels or leaves at the same moment.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class DoorbellWakeupTests
{
    private readonly TestWorkspace _workspace = new();
    private readonly SegmentFile _segment;
    private readonly Flag _ready = new();

    public DoorbellWakeupTests() =>
        _segment = SegmentFile.OpenOrCreate(_workspace.Directory, "bell", new StreamSpec(new MmapStreamOptions { Capacity = 4096 }));

    [TearDown]
    public void CleanUp()
    {
        _segment.Close();
        _workspace.Dispose();
    }

    [Test]
    public async Task Every_waiter_wakes_in_every_round([Values] WaitMode mode, [Values(0, 50)] int spinMicroseconds)
    {
        const int Rounds = 300, Waiters = 4;
        var waiter = new DoorbellWaiter(_segment.Mapping, RingLayout.ReceiverBell(_segment.Plan), _ready, signallersFence: false);
        using var start = new Barrier(Waiters + 1);
        Task[] waiters = [.. Enumerable.Range(0, Waiters).Select(w => Watchdog.RunOnThread(() =>
        {
            var spin = new SpinBudget(TimeSpan.FromMicroseconds(spinMicroseconds));
            for (int i = 0; i < Rounds; i++)
            {
                if (w % 2 == 0) Assert.That(waiter.Wait(spin, Watchdog.Limit, new WaitStop(new Open(), default), mode), Is.True,
                    $"round {i}");
                else waiter.WaitAsync(new WaitStop(new Open(), default), mode).AsTask().Wait(Watchdog.Limit);
                start.SignalAndWait();
                start.SignalAndWait();
            }
        }))];
        Task ringing = Watchdog.RunOnThread(() =>
        {
            for (int i = 0; i < Rounds; i++)
            {
                Thread.SpinWait(i * 17 % 3000);
                _ready.IsReady = true;
                waiter.Bell.Signal();
                start.SignalAndWait();
                _ready.IsReady = false;
                start.SignalAndWait();
            }
        });
        await Watchdog.WaitAsync(Task.WhenAll([.. waiters, ringing]));
        Assert.That(waiter.HasWaiters, Is.False);
    }

    [Test]
    public async Task More_async_waiters_than_one_thread_can_serve_all_wake_and_hold_no_thread_each()
    {
        const int Waiters = 300;
        var waiter = new DoorbellWaiter(_segment.Mapping, RingLayout.ReceiverBell(_segment.Plan), _ready, signallersFence: false);
        int threads = Directory.GetDirectories("/proc/self/task").Length;
        Task[] waits = [.. Enumerable.Range(0, Waiters).Select(
            _ => waiter.WaitAsync(new WaitStop(new Open(), default), WaitMode.Auto).AsTask())];
        Assert.That(Directory.GetDirectories("/proc/self/task"), Has.Length.LessThan(threads + 50));
        Assert.That(waits.Count(wait => wait.IsCompleted), Is.Zero);
        _ready.IsReady = true;
        waiter.Bell.Signal();
        await Watchdog.WaitAsync(Task.WhenAll(waits));
    }

    [Test]
    public async Task Needless_rings_wake_no_waiter_permanently()
    {
        var waiter = new DoorbellWaiter(_segment.Mapping, RingLayout.ReceiverBell(_segment.Plan), _ready, signallersFence: false);
        Task<bool> waiting =
            Watchdog.RunOnThread(
                () => waiter.Wait(new SpinBudget(TimeSpan.Zero), Watchdog.Limit, new WaitStop(new Open(), default), WaitMode.Auto));
        for (int i = 0; i < 10_000; i++) waiter.Bell.Ring();
        Assert.That(waiting.IsCompleted, Is.False);
        _ready.IsReady = true;
        waiter.Bell.Signal();
        Assert.That(await Watchdog.WaitAsync(waiting), Is.True);
    }

    [Test]
    public async Task A_ring_moves_the_sequence_beside_others_that_change_the_word_without_ringing()
    {
        const int Rounds = 200_000;
        var bell = new Doorbell(_segment.Mapping, RingLayout.ReceiverBell(_segment.Plan));
        int stop = 0, started = 0;
        // What other ends of a topic do: one was busy for a while, another begins to wait.
        Task others = Watchdog.RunOnThread(() =>
        {
            Volatile.Write(ref started, 1);
            while (Volatile.Read(ref stop) == 0)
            {
                Interlocked.And(ref bell.Word, ~Doorbell.Fencing);
                Interlocked.Or(ref bell.Word, Doorbell.Fencing | Doorbell.Waiting);
            }
        });
        Watchdog.Until(() => Volatile.Read(ref started) == 1, "the others to run");
        int missed = 0;
        for (int i = 0; i < Rounds; i++)
        {
            // A waiter that sleeps until the word changes sees the value of before again where the sequence stays.
            int before = bell.Value >>> 2;
            bell.Ring();
            if (bell.Value >>> 2 == before) missed++;
        }

        Volatile.Write(ref stop, 1);
        await others;
        Assert.That(missed, Is.Zero);
    }

    private sealed class Flag : IReadiness
    {
        private volatile bool _ready;

        public bool IsReady
        {
            set => _ready = value;
        }

        public bool Poll() => _ready;
    }

    private sealed class Open : IClosableEnd
    {
        public bool IsClosed => false;
    }
}
