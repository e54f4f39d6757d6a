using System.Runtime.InteropServices;
using System.Threading.Tasks.Sources;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Doorbells;

// Async waiters hold no thread: one thread sleeps in the kernel on up to 127 doorbells at once, and one word more to interrupt it when
// a waiter joins. It completes waits; their continuations run on the thread pool.

internal sealed class AsyncDoorbells
{
    private const int Capacity = WaitWordSet.Capacity - 1;
    private static readonly Lock GroupsGate = new();
    private static readonly List<AsyncDoorbells> Groups = [];

    private readonly Lock _gate = new();
    private readonly List<Sleeper> _sleepers = new(Capacity);
    private readonly Stack<Sleeper> _spare = new();
    private readonly nint _interrupt;

    private unsafe AsyncDoorbells()
    {
        // Never freed: the kernel may be asked to wait on it for as long as the process lives.
        _interrupt = (nint)NativeMemory.AlignedAlloc(128, 128);
        *(int*)_interrupt = 0;
        new Thread(Run) { IsBackground = true, Name = "otto async waits" }.Start();
    }

    // This process's own word, which no other process knows.
    private WaitTarget InterruptTarget => new(Guid.Empty, 0, _interrupt);

    private unsafe ref int Interrupt => ref *(int*)_interrupt;

    /// <summary>Completes once the doorbell's word no longer holds <paramref name="seen"/>.</summary>
    public static ValueTask WaitAsync(Doorbell bell, int seen)
    {
        lock (GroupsGate)
        {
            foreach (AsyncDoorbells group in Groups)
            {
                if (group.TryAdd(bell, seen, out ValueTask wait)) return wait;
            }

            var added = new AsyncDoorbells();
            Groups.Add(added);
            return added.TryAdd(bell, seen, out ValueTask first) ? first
                : throw new InvalidOperationException("a new group of waiters has no room");
        }
    }

    private bool TryAdd(Doorbell bell, int seen, out ValueTask wait)
    {
        lock (_gate)
        {
            wait = default;
            if (_sleepers.Count == Capacity) return false;
            if (!_spare.TryPop(out Sleeper? sleeper)) sleeper = new Sleeper(this);
            sleeper.Bell = bell;
            sleeper.Seen = seen;
            _sleepers.Add(sleeper);
            wait = sleeper.AsTask();
        }

        // Full fence: pairs with the read at the top of Run; the thread either copies the new sleeper or does not sleep.
        Interlocked.Increment(ref Interrupt);
        WaitWord.WakeAll(InterruptTarget);
        return true;
    }

    private void Return(Sleeper sleeper)
    {
        lock (_gate) _spare.Push(sleeper);
    }

    private void Run()
    {
        var words = new WaitWordSet();
        var woken = new List<Sleeper>(Capacity);
        while (true)
        {
            int interruptSeen = Volatile.Read(ref Interrupt);
            words.Clear();
            words.Add(InterruptTarget, interruptSeen);
            lock (_gate)
            {
                for (int i = _sleepers.Count - 1; i >= 0; i--)
                {
                    Sleeper sleeper = _sleepers[i];
                    if (sleeper.Bell!.Value == sleeper.Seen)
                    {
                        words.Add(sleeper.Bell.Target, sleeper.Seen);
                        continue;
                    }

                    // Out of the list before it is completed: its owner may unmap the word right afterwards.
                    _sleepers.RemoveAt(i);
                    woken.Add(sleeper);
                }
            }

            if (woken.Count > 0)
            {
                foreach (Sleeper sleeper in woken) sleeper.Complete();
                woken.Clear();
                continue;
            }

            words.Wait();
        }
    }

    private sealed class Sleeper(AsyncDoorbells group) : IValueTaskSource
    {
        private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };

        public Doorbell? Bell { get; set; }

        public int Seen { get; set; }

        public ValueTask AsTask() => new(this, _core.Version);

        public void Complete() => _core.SetResult(true);

        public ValueTaskSourceStatus GetStatus(short token) => _core.GetStatus(token);

        public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            _core.OnCompleted(continuation, state, token, flags);

        public void GetResult(short token)
        {
            _core.GetResult(token);
            _core.Reset();
            Bell = null;
            group.Return(this);
        }
    }
}
