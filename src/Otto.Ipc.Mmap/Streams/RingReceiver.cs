using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Otto.Ipc.Mmap.Doorbells;
using Otto.Ipc.Mmap.Endpoints;
using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Streams;

// The receiver stays with a lane while it pays, for a bounded run, and then gives each other lane in use its turn. While nothing comes
// it looks at one word a lane that nobody writes. The head is stored when a lease ends: a receiver that dies before it leaves the frame
// to its successor.

internal sealed class RingReceiver : MessageReceiver, IReadiness
{
    private readonly ParticipantEndpoint _end;
    private readonly SegmentMapping _map;
    private readonly LaneReader[] _lanes;
    private readonly LaneTable _table;
    private readonly SpinBudget _spin;
    private readonly WaitMode _waitMode;
    private readonly RingLoans<StreamLoans> _loans;
    private LaneReader _lane;
    private BlockDescriptor _leasedBlock;
    private long _leases;
    private readonly BatchingPause _gathering;
    private long _leasesAtWait;
    private long _open;
    private long _leasedBytes;

    public RingReceiver(SegmentFile segment, MmapStreamOptions options)
    {
        _map = segment.Mapping;
        _lanes = new LaneReader[segment.Plan.ParameterA];
        for (int i = 0; i < _lanes.Length; i++) _lanes[i] = new LaneReader(segment, i);
        _lane = _lanes[0];
        _table = RingLayout.Lanes(segment);
        _loans = new RingLoans<StreamLoans>(segment, options.MaxLoanBytes, options.WritableLoans);
        _spin = new SpinBudget(options.SpinLimit);
        _waitMode = options.WaitMode;
        _gathering = new BatchingPause(segment.Plan.Capacity, options.SpinLimit);
        if (!segment.Locks.TryHoldRole(RingLayout.ReceiverRole))
        {
            segment.Close();
            throw new IOException($"{segment.Path} has a receiver already, and it is alive; dispose it first");
        }

        _end = new ParticipantEndpoint(segment, ParticipantRoles.Receives, RingLayout.ReceiverBell(segment.Plan),
            this) { Looking = _loans.RunMaintenance, Leaving = _loans.Close };
        try
        {
            foreach (LaneReader lane in _lanes) lane.Resume();
            _end.StartHousekeeping();
        }
        catch
        {
            _end.Dispose();
            throw;
        }
    }

    /// <summary>Checks whether the current waiter has something to read: a frame, or the end.</summary>
    public bool Poll() => HasFrames() || AllCompleted() || _end.IsRetired;

    public override bool IsCompleted
    {
        get
        {
            _end.Enter();
            try
            {
                return AllCompleted();
            }
            finally
            {
                _end.Exit();
            }
        }
    }

    public override bool TryReceive(out ReadLease lease)
    {
        _end.Enter();
        LaneReader lane = _lane;
        int length = lane.NextLength;
        if (length < 0) return TryReceiveSlowly(out lease);
        lease = Lend(length, _map.Bytes(lane.NextPayloadAt, length));
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TryReceiveSlowly(out ReadLease lease)
    {
        lease = default;
        if (!TryNextSlowly(out long payloadAt, out int length, out bool isLoan))
        {
            ExitEmpty();
            return false;
        }

        lease = Lend(length, isLoan ? OpenBlock(payloadAt) : _map.Bytes(payloadAt, length));
        return true;
    }

    /// <summary>The end stays entered until the lease ends. Numbered, since two lanes may
    /// be at the same position.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ReadLease Lend(int length, ReadOnlySpan<byte> bytes)
    {
        long lease = ++_leases;
        _open = lease;
        _leasedBytes = RingLayout.FrameBytes(length);
        _end.Count(bytes.Length);
        return new ReadLease(this, new SlotToken(lease, 0), bytes);
    }

    public override bool TryReceive(Span<byte> destination, out int bytes)
    {
        _end.Enter();
        LaneReader lane = _lane;
        bytes = lane.NextLength;
        if (bytes < 0 || bytes > destination.Length) return TryReceiveSlowly(destination, out bytes);
        InlineCopy.Copy(_map.Bytes(lane.NextPayloadAt, bytes), ref MemoryMarshal.GetReference(destination));
        _leases++;
        lane.Consume(RingLayout.FrameBytes(bytes));
        _end.Count(bytes);
        _end.Exit();
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TryReceiveSlowly(Span<byte> destination, out int bytes)
    {
        if (!TryNextSlowly(out long payloadAt, out bytes, out bool isLoan))
        {
            bytes = 0;
            ExitEmpty();
            return false;
        }

        long frame = RingLayout.FrameBytes(bytes);
        ReadOnlySpan<byte> message = isLoan ? OpenBlock(payloadAt) : _map.Bytes(payloadAt, bytes);
        bytes = message.Length;
        if (bytes > destination.Length)
        {
            _leasedBlock = default;
            _end.Exit();
            throw new ArgumentException(
                $"the next message has {bytes:N0} bytes, the buffer {destination.Length:N0}; it was left in the stream",
                nameof(destination));
        }

        message.CopyTo(destination);
        _leases++;
        _lane.Consume(frame);
        _end.Count(bytes);
        EndBlock();
        _end.Exit();
        return true;
    }

    public override bool WaitToReceive(TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        _end.Enter();
        try
        {
            LetSomeGather();
            return _end.Waiter.Wait(_spin, timeout, new WaitStop(_end, cancellationToken), _waitMode) && HasFramesOrIsNotified();
        }
        finally
        {
            _end.Exit();
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public override async ValueTask<bool> WaitToReceiveAsync(CancellationToken cancellationToken = default)
    {
        _end.Enter();
        try
        {
            LetSomeGather();
            await _end.Waiter.WaitAsync(new WaitStop(_end, cancellationToken), _waitMode).ConfigureAwait(false);
            return HasFramesOrIsNotified();
        }
        finally
        {
            _end.Exit();
        }
    }

    public override void Dispose() => _end.Dispose();

    protected override void ReleaseLease(in SlotToken token)
    {
        if (_open != token.Word) return;
        _open = 0;
        _lane.Consume(_leasedBytes);
        EndBlock();
        _end.Exit();
    }

    private void LetSomeGather()
    {
        _gathering.AfterTaking(_leases - _leasesAtWait);
        _leasesAtWait = _leases;
    }

    private void ExitEmpty()
    {
        bool told = _end.IsRetired && !AllCompleted(); // before leaving: from then on the bytes may go
        _end.Exit();
        if (told) throw _end.Segment.Retired();
    }

    /// <summary>The bytes that a frame names. Leaves the end where it throws.</summary>
    private ReadOnlySpan<byte> OpenBlock(long payloadAt)
    {
        try
        {
            BlockDescriptor block = BlockDescriptor.Read(_map, payloadAt);
            ReadOnlySpan<byte> bytes = _loans.Pool.Read(block).Span;
            _leasedBlock = block;
            return bytes;
        }
        catch (CorruptSegmentException)
        {
            // There is no such block, and there will be none: the message is lost, is told of once, and
            // keeps nobody from what comes after it.
            _lane.Consume(RingLayout.FrameBytes(BlockDescriptor.Bytes));
            _lane.EndRun();
            _end.Exit();
            throw;
        }
        catch
        {
            _lane.EndRun(); // it stays, and the other lanes have their turn
            _end.Exit();
            throw;
        }
    }

    /// <summary>Frees the block of a message that was counted as read; after the head, or a
    /// death between would lose it.</summary>
    private void EndBlock()
    {
        if (_leasedBlock.File == 0) return;
        _loans.Pool.End(_leasedBlock);
        _leasedBlock = default;
    }

    /// <summary>Finds the next message, here or in another lane. Leaves the end where it throws.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TryNextSlowly(out long payloadAt, out int length, out bool isLoan)
    {
        try
        {
            if (_lane.TryNextSlowly(out payloadAt, out length, out isLoan)) return true;
            int inUse = _table.InUse, first = _lane.Index;
            for (int step = 1; step <= inUse; step++)
            {
                // Moved to before it is looked at: a lane whose bytes are wrong throws, and the next call goes on behind it.
                _lane = _lanes[(first + step) % inUse];
                if (!_lane.TryBeginRun()) continue;
                _end.Waiter.NoteBusy();
                if (_lane.TryNextSlowly(out payloadAt, out length, out isLoan)) return true;
            }

            return false;
        }
        catch (CorruptSegmentException)
        {
            _end.Exit();
            throw;
        }
    }

    private bool HasFramesOrIsNotified()
    {
        if (HasFrames()) return true;
        return _end.IsRetired && !AllCompleted() ? throw _end.Segment.Retired() : false;
    }

    private bool HasFrames()
    {
        int inUse = _table.InUse;
        for (int i = 0; i < inUse; i++)
        {
            if (_lanes[i].HasFrames) return true;
        }

        return false;
    }

    /// <summary>Whether every lane that ever had a sender was completed by its last one, and read.</summary>
    private bool AllCompleted()
    {
        int inUse = _table.InUse;
        for (int i = 0; i < inUse; i++)
        {
            if (!_lanes[i].IsCompleted) return false;
        }

        return inUse > 0;
    }
}
