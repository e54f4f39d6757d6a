using System.Collections.Concurrent;
using System.Diagnostics;
using Otto.Ipc.Endpoints;
using Otto.Ipc.Files.Paths;
using Otto.Ipc.Files.Watching;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Queues;

// The queue shape over a directory: one file a message, and every step of its life a rename, which happens whole and to one of those who
// try. This part holds the handle together, looks and sweeps; sending, leasing and waiting have parts of their own.

internal sealed partial class DirectoryQueue : WorkQueue, IWriteSlotOwner, IWorkLeaseOwner
{
    private static readonly long SweepInterval = Stopwatch.Frequency;

    private readonly QueueFiles _files;
    private readonly QueueNumbers _numbers;
    private readonly FilesTransportOptions _options;
    private readonly SendSequencer _sequence;
    private volatile WorkerDirectory _me;
    private readonly ReadyIndex _ready;
    private readonly Lock _taking = new(), _renewing = new();
    private readonly ChangeWaiter _waiter;
    private readonly UseCounter _use;
    private readonly ConcurrentDictionary<long, MessageName> _held = new();
    private readonly ConcurrentDictionary<long, OpenSlot> _slots = new();
    private long _tokens, _sweptAt;
    private volatile bool _takesWork;

    public DirectoryQueue(string root, ChannelName name, QueueNumbers numbers, FilesTransportOptions options)
    {
        Name = name;
        _numbers = numbers;
        _options = options;
        _files = new QueueFiles(root);
        _sequence = new SendSequencer(_files, options.LockTimeout);
        _ready = new ReadyIndex(_files, _sequence);
        _waiter = new ChangeWaiter(options);
        _use = new UseCounter(Leave);
        _work = new Work(this);
        _room = new Room(this);
        _me = WorkerDirectory.Create(_files);
        SweepDead();
    }

    public override ChannelName Name { get; }

    public override int MaxMessageBytes => _numbers.MaxMessageBytes;

    public override int Capacity => _numbers.Capacity;

    public override bool IsConsumer => _takesWork;

    public override void SetConsumer(bool consumes) => Call(() =>
    {
        Mine().SetTakesWork(consumes);
        return _takesWork = consumes;
    });

    public override int OtherConsumers =>
        Call(() => _files.WorkerDirectories().Count(directory => directory != _me.DirectoryPath && WorkerDirectory.Works(directory)));

    public override WorkQueueCounts GetCounts() => Call(() =>
    {
        lock (_taking) _ready.PromoteDue();
        List<MessageName> ready = QueueFiles.MessagesIn(_files.Ready);
        int delayed = _files.DelayedMessages().Count, dead = QueueFiles.MessagesIn(_files.Dead).Count, leased = 0, reserved = 0;
        long oldestLease = long.MaxValue;
        foreach (string worker in _files.WorkerDirectories())
        {
            foreach (string file in RootDirectory.NamesIn(worker).Where(WorkerDirectory.TakesRoom))
            {
                bool message = MessageName.TryParse(file, out _);
                if (message) leased++;
                else reserved++;
                // The rename into the worker's directory was the last change of the file.
                if (message && PrivateFiles.Status(Path.Combine(worker, file)) is { } status)
                    oldestLease = Math.Min(oldestLease, status.Changed);
            }
        }

        int free = Math.Max(0, Capacity - ready.Count - delayed - leased - reserved - dead);
        return new WorkQueueCounts(ready.Count, leased, dead, free, Age(ready.Count == 0 ? long.MaxValue : ready.Min().Time * 1_000_000))
        {
            Delayed = delayed,
            OldestLeaseAge = Age(oldestLease),
        };

        // The wall clock may have been set back since.
        static TimeSpan Age(long since) =>
            since == long.MaxValue ? TimeSpan.Zero
            : TimeSpan.FromTicks(Math.Max(0, (QueueTime.UnixNanoseconds - since) / TimeSpan.NanosecondsPerTick));
    });

    public override bool TryLoan(int bytes, out Loan loan) =>
        throw new NotSupportedException("a queue of files does not support loans; call TrySend with the bytes");

    public override bool TrySend(in Loan loan, int bytes) =>
        throw new NotSupportedException("a queue of files does not support loans; call TrySend with the bytes");

    public override void Dispose()
    {
        if (!_use.Close()) return;
        try
        {
            if (_takesWork) _me.SetTakesWork(false);
            _waiter.Wake();
        }
        finally
        {
            _use.Exit();
        }
    }

    private T Call<T>(Func<T> call)
    {
        _use.Enter();
        try
        {
            return call();
        }
        finally
        {
            _use.Exit();
        }
    }

    /// <summary>Returns the messages of dead workers to the queue, at most once per second.</summary>
    /// <returns><see langword="true"/> if there was a dead worker; otherwise, <see langword="false"/>.</returns>
    private bool SweepNowAndThen()
    {
        long now = Stopwatch.GetTimestamp(), before = Volatile.Read(ref _sweptAt);
        // Of several threads one sweeps; the others find nothing this time.
        return now - before >= SweepInterval && Interlocked.CompareExchange(ref _sweptAt, now, before) == before && SweepDead();
    }

    /// <summary>Gets this handle's directory. Creates it again if it was removed together with the leases in
    /// it.</summary>
    private WorkerDirectory Mine()
    {
        if (_me.IsThere) return _me;
        lock (_renewing)
        {
            if (_me.IsThere) return _me;
            WorkerDirectory removed = _me;
            WorkerDirectory renewed = WorkerDirectory.Create(_files);
            if (_takesWork) renewed.SetTakesWork(true);
            _me = renewed;
            removed.Dispose();
            return renewed;
        }
    }

    private bool SweepDead()
    {
        Volatile.Write(ref _sweptAt, Stopwatch.GetTimestamp());
        bool any = false;
        foreach (string worker in _files.WorkerDirectories())
        {
            if (worker != _me.DirectoryPath)
                any |= WorkerDirectory.TrySweep(worker, (path, message) => Release(path, message, countAttempt: true, "its worker died"));
        }

        return any;
    }

    private void Leave()
    {
        _waiter.Dispose();
        _me.Leave((path, message) => Release(path, message, countAttempt: false, ""));
        _sequence.Dispose();
    }
}
