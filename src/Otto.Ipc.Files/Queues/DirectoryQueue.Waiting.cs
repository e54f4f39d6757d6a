using Otto.Ipc.Files.Watching;

namespace Otto.Ipc.Files.Queues;

// Waiting for work and for room. Whoever waits for work also looks once a second whether a worker died.

internal sealed partial class DirectoryQueue
{
    private readonly Work _work;
    private readonly Room _room;

    public override bool WaitToLease(TimeSpan timeout, CancellationToken cancellationToken = default) => Call(() => _waiter.Wait(_work, timeout, cancellationToken));

    public override bool WaitToSend(TimeSpan timeout, CancellationToken cancellationToken = default) => Call(() => _waiter.Wait(_room, timeout, cancellationToken));

    public override async ValueTask WaitToLeaseAsync(CancellationToken cancellationToken = default) => await WaitAsync(_work, cancellationToken).ConfigureAwait(false);

    public override async ValueTask WaitToSendAsync(CancellationToken cancellationToken = default) => await WaitAsync(_room, cancellationToken).ConfigureAwait(false);

    private async ValueTask WaitAsync(IAwaited awaited, CancellationToken cancellationToken)
    {
        _gate.Enter();
        try
        {
            await _waiter.WaitAsync(awaited, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <summary>A message to lease.</summary>
    private sealed class Work(DirectoryQueue queue) : IAwaited
    {
        public IEnumerable<string> Places => [queue._files.Ready, queue._files.Delayed];

        public TimeSpan LookAgainIn
        {
            get
            {
                lock (queue._taking) return queue._ready.NextDueIn;
            }
        }

        public bool? Look()
        {
            queue._gate.ThrowIfClosed();
            if (Any()) return true;
            return queue.SweepNowAndThen() && Any() ? true : null;
        }

        private bool Any()
        {
            lock (queue._taking) return queue._ready.Any();
        }
    }

    /// <summary>Room to send.</summary>
    private sealed class Room(DirectoryQueue queue) : IAwaited
    {
        public IEnumerable<string> Places => [queue._files.Ready, queue._files.Delayed, queue._files.Dead, queue._files.Leased, .. queue._files.WorkerDirectories()];

        public TimeSpan LookAgainIn => ChangeWaiter.LongestSleep;

        public bool? Look()
        {
            queue._gate.ThrowIfClosed();
            return queue.MayHaveRoom() ? true : null;
        }
    }
}
