using Otto.Ipc.Benchmarks.Measuring;
using Otto.Ipc.Mmap;
using Otto.Queue;

namespace Otto.Ipc.Benchmarks.Micro;

// What happens inside one process, step by step. BenchmarkDotNet times these, and a test counts what they
// allocate: both call the same code.

/// <summary>Something that is done again and again.</summary>
internal abstract class Operation : IDisposable
{
    /// <summary>The name in <c>expected-allocations.json</c>.</summary>
    public abstract string Name { get; }

    /// <summary>Does it, <paramref name="times"/> times in a row.</summary>
    public abstract void Run(int times);

    public abstract void Dispose();

    /// <summary>All of them.</summary>
    public static IEnumerable<Func<Operation>> All =>
        [() => new StreamOperation(), () => new QueueOperation(), () => new EncodeOperation(), () => new DecodeOperation(),
            () => new RouteOperation(), () => new HandlerOperation()];
}

/// <summary>A frame of 64 B in a ring: reserve, write, commit, lease, read, release.</summary>
internal sealed class StreamOperation : Operation
{
    private const int Bytes = 64;

    private readonly ScratchDirectory _directory = ScratchDirectory.InSharedMemory();
    private readonly MessageSender _sender;
    private readonly MessageReceiver _receiver;
    private readonly byte[] _copy = new byte[Bytes];

    public StreamOperation()
    {
        var transport = new MmapTransport(new MmapTransportOptions { Directory = _directory.Path });
        _sender = transport.OpenSender("stream");
        _receiver = transport.OpenReceiver("stream");
    }

    public override string Name => "stream: reserve, commit, lease, release";

    public override void Run(int times)
    {
        for (int i = 0; i < times; i++)
        {
            if (!_sender.TryReserve(Bytes, out WriteSlot slot)) throw new InvalidOperationException("a ring that is read at once is full");
            slot.Bytes.Fill((byte)i);
            slot.Commit(Bytes);
            if (!_receiver.TryReceive(out ReadLease lease)) throw new InvalidOperationException("what was committed cannot be read");
            lease.Bytes.CopyTo(_copy);
            lease.Dispose();
        }
    }

    public override void Dispose()
    {
        _sender.Dispose();
        _receiver.Dispose();
        _directory.Dispose();
    }
}

/// <summary>A task of 200 B in a queue: send, lease, complete.</summary>
internal sealed class QueueOperation : Operation
{
    private readonly ScratchDirectory _directory = ScratchDirectory.InSharedMemory();
    private readonly WorkQueue _queue;
    private readonly byte[] _payload = new byte[200];

    public QueueOperation() => _queue = new MmapTransport(new MmapTransportOptions { Directory = _directory.Path }).OpenQueue("queue");

    public override string Name => "queue: send, lease, complete";

    public override void Run(int times)
    {
        for (int i = 0; i < times; i++)
        {
            if (!_queue.TrySend(_payload) || !_queue.TryLease(out WorkLease lease))
                throw new InvalidOperationException("a queue that is emptied at once is full, or loses");
            if (!lease.Complete()) throw new InvalidOperationException("a lease was somebody else's");
        }
    }

    public override void Dispose()
    {
        _queue.Dispose();
        _directory.Dispose();
    }
}

/// <summary>The envelope around a task of 200 B, written.</summary>
internal sealed class EncodeOperation : Operation
{
    private readonly byte[] _payload = new byte[200];

    public override string Name => "envelope: encode";

    public override void Run(int times)
    {
        for (int i = 0; i < times; i++) Envelope(i, _payload).Return();
    }

    public static EnvelopeBuffer Envelope(int number, ReadOnlySpan<byte> payload)
    {
        EnvelopeBuffer buffer = EnvelopeBuffer.Rent();
        EnvelopeHeader header = new() { Id = new TaskId(7, (ulong)number), EnqueuedMicroseconds = number };
        EnvelopeWriter.Write(header, buffer, "photos.resize"u8);
        payload.CopyTo(buffer.GetSpan(payload.Length));
        buffer.Advance(payload.Length);
        EnvelopeWriter.Seal(buffer.Written);
        return buffer;
    }

    public override void Dispose()
    {
    }
}

/// <summary>The same, read and checked.</summary>
internal sealed class DecodeOperation : Operation
{
    private readonly byte[] _message;

    public DecodeOperation()
    {
        EnvelopeBuffer buffer = EncodeOperation.Envelope(1, new byte[200]);
        _message = buffer.Written.ToArray();
        buffer.Return();
    }

    public override string Name => "envelope: decode";

    public override void Run(int times)
    {
        for (int i = 0; i < times; i++)
        {
            if (EnvelopeReader.Read(_message, out EnvelopeHeader header, out _, out int payloadAt) is { } problem)
                throw new InvalidDataException(problem);
            if (header.EnqueuedMicroseconds != 1 || _message.Length - payloadAt != 200)
                throw new InvalidDataException("another envelope than was written");
        }
    }

    public override void Dispose()
    {
    }
}

/// <summary>A task that no worker here handles: the route is judged, the task encoded and
/// written to shared memory; taken off again by hand.</summary>
internal sealed class RouteOperation : Operation
{
    private readonly ScratchDirectory _directory = ScratchDirectory.InSharedMemory();
    private readonly TaskQueue _queue;
    private readonly WorkQueue _segment;
    private readonly ReadOnlyMemory<byte> _task = new byte[200];

    public RouteOperation()
    {
        _queue = new TaskQueue(
            new TaskQueueOptions().AddProducer<ReadOnlyMemory<byte>>("bytes").UseSharedMemory(o => o.Directory = _directory.Path));
        _queue.StartAsync().GetAwaiter().GetResult();
        if (_queue.EnqueueAsync(_task).AsTask().GetAwaiter().GetResult().Route != RouteName.SharedMemory)
            throw new InvalidOperationException("the task went another way");
        _segment = new MmapTransport(new MmapTransportOptions { Directory = _directory.Path }).OpenQueue("bytes");
        Take();
    }

    public override string Name => "task: choose the route, encode, send to shared memory";

    public override void Run(int times)
    {
        for (int i = 0; i < times; i++)
        {
            ValueTask<TaskReceipt> sent = _queue.EnqueueAsync(_task);
            if (!sent.IsCompletedSuccessfully) sent.AsTask().GetAwaiter().GetResult();
            Take();
        }
    }

    public override void Dispose()
    {
        _segment.Dispose();
        _queue.DisposeAsync().AsTask().GetAwaiter().GetResult();
        _directory.Dispose();
    }

    private void Take()
    {
        if (!_segment.TryLease(out WorkLease lease) || !lease.Complete())
            throw new InvalidOperationException("the task is not in its segment");
    }
}

/// <summary>A task from a producer to a handler of the same process.</summary>
internal sealed class HandlerOperation : Operation
{
    private const int Ahead = 500;

    private readonly TaskQueue _queue;
    private readonly object _task = new();
    private int _done;

    public HandlerOperation()
    {
        _queue = new TaskQueue(
            new TaskQueueOptions().AddHandler<object>("object", HandleAsync, h => { h.Scope = false; h.Concurrency = 1; }).UseSharedMemory(
                o => o.Enabled = false));
        _queue.StartAsync().GetAwaiter().GetResult();
    }

    public override string Name => "task: enqueue to handler, in process";

    public override void Run(int times)
    {
        int target = _done + times;
        for (int i = 0; i < times; i++)
        {
            // Never so far ahead that the ring is full: waiting for room is another matter.
            while (target - times + i - Volatile.Read(ref _done) > Ahead) Thread.Yield();
            ValueTask<TaskReceipt> sent = _queue.EnqueueAsync(_task);
            if (!sent.IsCompletedSuccessfully) sent.AsTask().GetAwaiter().GetResult();
        }

        while (Volatile.Read(ref _done) != target) Thread.Yield();
    }

    public override void Dispose() => _queue.DisposeAsync().AsTask().GetAwaiter().GetResult();

    private ValueTask HandleAsync(object task, TaskContext context, CancellationToken cancellationToken)
    {
        Volatile.Write(ref _done, _done + 1);
        return default;
    }
}
