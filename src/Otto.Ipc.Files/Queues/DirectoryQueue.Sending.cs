using Otto.Ipc.Files.Messages;
using Otto.Ipc.Files.Paths;

namespace Otto.Ipc.Files.Queues;

// Sending: the file is written under a name of this handle's own, then passes the sequence, where room is
// counted and the rename commits it.

internal sealed partial class DirectoryQueue
{
    private readonly Lock _counting = new();
    private long _roomLeft, _roomAsOf;

    /// <summary>A slot that is being written.</summary>
    private sealed record OpenSlot(byte[] Buffer, string Reservation);

    public override bool TrySend(ReadOnlySpan<byte> message) => TrySend(message, TimeSpan.Zero, out _);

    public override bool TrySend(ReadOnlySpan<byte> message, TimeSpan delay, out WorkId id)
    {
        CheckSize(message.Length, nameof(message));
        CheckDelay(delay);
        _use.Enter();
        try
        {
            bool sent = TryAdd(message, delay, keep: false, out MessageName name);
            id = WorkId.FromToken(new SlotToken(name.Id, 0));
            return sent;
        }
        finally
        {
            _use.Exit();
        }
    }

    public override bool TrySendAndLease(ReadOnlySpan<byte> message, out WorkLease lease)
    {
        CheckSize(message.Length, nameof(message));
        lease = default;
        _use.Enter();
        bool kept = false;
        try
        {
            kept = TryAdd(message, TimeSpan.Zero, keep: true, out MessageName name);
            if (kept) lease = Hold(name, message.ToArray());
            return kept;
        }
        finally
        {
            if (!kept) _use.Exit();
        }
    }

    public override bool TryReserve(int maxBytes, out WriteSlot slot)
    {
        CheckSize(maxBytes, nameof(maxBytes));
        slot = default;
        _use.Enter();
        bool open = false;
        try
        {
            // An empty file keeps the room, so that other processes count it, until the message has a name.
            string reservation = Mine().ReservedPath();
            open = MayHaveRoom() && _sequence.Pass(() =>
            {
                if (!HasRoom(_sequence.Last)) return false;
                PrivateFile.OpenOrCreate(reservation).Dispose();
                _sequence.Next();
                return true;
            });
            if (!open) return false;
            var token = new SlotToken(Interlocked.Increment(ref _tokens), 0);
            byte[] buffer = new byte[maxBytes];
            _slots[token.Word] = new OpenSlot(buffer, reservation);
            slot = new WriteSlot(this, token, buffer);
            return true;
        }
        finally
        {
            if (!open) _use.Exit();
        }
    }

    bool IWriteSlotOwner.Commit(in SlotToken token, int bytes)
    {
        if (!_use.TryEnterLate()) return false;
        int ended = 1;
        try
        {
            if (!_slots.TryRemove(token.Word, out OpenSlot? slot)) return false;
            ended++;
            try
            {
                string written = Write(slot.Buffer.AsSpan(0, bytes));
                _sequence.Pass(() => PrivateFile.Move(written, Path.Combine(_files.Ready, NextName().ToString())));
                Settle(_files.Ready);
                return true;
            }
            finally
            {
                PrivateFile.Remove(slot.Reservation);
            }
        }
        finally
        {
            _use.Exit(ended);
        }
    }

    void IWriteSlotOwner.Abort(in SlotToken token)
    {
        if (!_use.TryEnterLate()) return;
        int ended = 1;
        try
        {
            if (!_slots.TryRemove(token.Word, out OpenSlot? slot)) return;
            ended++;
            PrivateFile.Remove(slot.Reservation);
        }
        finally
        {
            _use.Exit(ended);
        }
    }

    public override bool Cancel(WorkId id) => Call(() =>
    {
        long number = id.ToToken().Word;
        // In the order in which a message moves: one that becomes due meanwhile is found among the ready.
        foreach (DelayedName delayed in _files.DelayedMessages())
        {
            if (delayed.Message.Id == number && PrivateFile.Remove(Path.Combine(_files.Delayed, delayed.ToString()))) return true;
        }

        foreach (MessageName ready in QueueFiles.MessagesIn(_files.Ready))
        {
            if (ready.Id == number && PrivateFile.Remove(Path.Combine(_files.Ready, ready.ToString()))) return true;
        }

        return false;
    });

    /// <summary>Puts a message where it belongs, if there is room.</summary>
    private bool TryAdd(ReadOnlySpan<byte> message, TimeSpan delay, bool keep, out MessageName name)
    {
        name = default;
        if (!MayHaveRoom()) return false;
        // Written, and on the disk where that is wanted, before anybody has to wait for it.
        string written = Write(message);
        MessageName added = default;
        bool sent = false;
        try
        {
            sent = _sequence.Pass(() =>
            {
                if (!HasRoom(_sequence.Last)) return false;
                added = NextName();
                string target = keep ? _me.PathOf(added)
                    : delay > TimeSpan.Zero ? Path.Combine(_files.Delayed, DelayedName.In(delay, added.Id, 1).ToString())
                    : Path.Combine(_files.Ready, added.ToString());
                return PrivateFile.Move(written, target) ? true : throw new IOException($"{written} was removed before it was sent");
            });
        }
        finally
        {
            if (!sent) PrivateFile.Remove(written);
        }

        if (!sent) return false;
        Settle(keep ? _me.DirectoryPath : delay > TimeSpan.Zero ? _files.Delayed : _files.Ready);
        name = added;
        return true;
    }

    private MessageName NextName()
    {
        (long id, long time) = _sequence.Next();
        return new MessageName(time, id, 1);
    }

    private string Write(ReadOnlySpan<byte> message)
    {
        byte[] text = new byte[MessageText.MostBytes(message.Length) + 1];
        int length = MessageText.Encode(message, text);
        text[length] = (byte)'\n';
        string path = Mine().NewPath();
        PrivateFile.WriteNew(path, text.AsSpan(0, length + 1), _options.Flush).Dispose();
        return path;
    }

    /// <summary>Puts a change of names on the disk where that is wanted.</summary>
    private void Settle(string directory)
    {
        if (_options.Flush == FlushLevel.FileAndDirectory) PrivateFile.FlushDirectory(directory);
    }

    private bool MayHaveRoom()
    {
        long last = _sequence.LastId;
        return HasRoom(last == long.MaxValue ? 0 : last);
    }

    /// <summary>
    /// Whether a message may be added. Each that was added since the last count took a number, and all else only makes
    /// room; so nothing is counted while what was left then exceeds the numbers given out since.
    /// </summary>
    private bool HasRoom(long last)
    {
        lock (_counting)
        {
            if (last >= _roomAsOf && _roomLeft - (last - _roomAsOf) > 0) return true;
            _roomLeft = _numbers.Capacity - _files.CountTaken();
            _roomAsOf = last;
            return _roomLeft > 0;
        }
    }

    private void CheckSize(int bytes, string parameter)
    {
        if ((uint)bytes > (uint)MaxMessageBytes)
            throw new ArgumentOutOfRangeException(parameter,
                $"message of {bytes:N0} bytes exceeds the limit of {MaxMessageBytes:N0}; "
                + $"create the queue with a higher MaxMessageBytes");
    }

    private static void CheckDelay(TimeSpan delay)
    {
        if (delay < TimeSpan.Zero || delay > MaxDelay)
            throw new ArgumentOutOfRangeException(nameof(delay), $"delay must be 0 to {MaxDelay.TotalDays:N0} days: {delay}");
    }
}
