using Otto.Ipc.Files.Watching;

namespace Otto.Ipc.Files.Queues;

// Waiting for work and for room. Whoever waits for work also looks once a second whether a worker died.

internal sealed partial class DirectoryQueue
{
    private readonly Work _work;
    private readonly Room _room;

    public override bool WaitToLease(TimeSpan timeout, CancellationToken cancellationToken = default) =>
        Call(() => _waiter.Wait(_work, timeout, cancellationToken));

    public override bool WaitToSend(TimeSpan timeout, CancellationToken cancellationToken = default) =>
        Call(() => _waiter.Wait(_room, timeout, cancellationToken));

    public override async ValueTask WaitToLeaseAsync(CancellationToken cancellationToken = default) =>
        await WaitAsync(_work, cancellationToken).ConfigureAwait(false);

    public override async ValueTask WaitToSendAsync(CancellationToken cancellationToken = default) =>
        await WaitAsync(_room, cancellationToken).ConfigureAwait(false);

    private async ValueTask WaitAsync(IWaitCondition condition, CancellationToken cancellationToken)
    {
        _use.Enter();
        try
        {
            await _waiter.WaitAsync(condition, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _use.Exit();
        }
    }

    /// <summary>A message to lease.</summary>
    private sealed class Work(DirectoryQueue queue) : IWaitCondition
    {
        public IEnumerable<string> Directories => [queue._files.Ready, queue._files.Delayed];

        public TimeSpan NextPollIn
        {
            get
            {
                lock (queue._taking) return queue._ready.NextDueIn;
            }
        }

        public bool? Poll()
        {
            queue._use.ThrowIfClosed();
            if (Any()) return true;
            return queue.SweepNowAndThen() && Any() ? true : null;
        }

        private bool Any()
        {
            lock (queue._taking) return queue._ready.Any();
        }
    }

    /// <summary>Room to send.</summary>
    private sealed class Room(DirectoryQueue queue) : IWaitCondition
    {
        public IEnumerable<string> Directories =>
            [queue._files.Ready, queue._files.Delayed, queue._files.Dead, queue._files.Leased, .. queue._files.WorkerDirectories()];

        public TimeSpan NextPollIn => ChangeWaiter.LongestSleep;

        public bool? Poll()
        {
            queue._use.ThrowIfClosed();
            return queue.MayHaveRoom() ? true : null;
        }
    }
}
