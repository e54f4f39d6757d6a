using System.Text;
using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Files.Messages;
using Otto.Ipc.Files.Paths;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Queues;

// Leasing and its ends, and the dead letters. Each is one rename or one unlink, so a kill between two of
// them leaves the message in one place.

internal sealed partial class DirectoryQueue
{
    private const int MostReasonBytes = 1000;
    private const string ReasonExtension = ".txt";

    public override bool TryLease(out WorkLease lease)
    {
        lease = default;
        _use.Enter();
        bool held = false;
        try
        {
            while (TryTake(out MessageName name))
            {
                if (TryReadTaken(name, out ReadOnlyMemory<byte> payload))
                {
                    lease = Hold(name, payload);
                    return held = true;
                }
            }

            return false;
        }
        finally
        {
            if (!held) _use.Exit();
        }
    }

    public override int CompleteBatch(ReadOnlySpan<WorkLease> leases)
    {
        int count = 0;
        foreach (WorkLease lease in leases)
        {
            if (lease.TryGetToken(this, out _) && lease.Complete()) count++;
        }

        return count;
    }

    bool IWorkLeaseOwner.Complete(in SlotToken token) => End(token, name => PrivateFile.Remove(_me.PathOf(name)));

    bool IWorkLeaseOwner.Abandon(in SlotToken token, bool countAttempt, TimeSpan delay)
    {
        CheckDelay(delay);
        return End(token, name => PutBack(_me.PathOf(name), name, countAttempt, delay));
    }

    bool IWorkLeaseOwner.Repeat(in SlotToken token, TimeSpan delay)
    {
        CheckDelay(delay);
        return End(token, name => PutBack(_me.PathOf(name), name with { Attempt = 1 }, countAttempt: false, delay));
    }

    private bool PutBack(string path, in MessageName name, bool countAttempt, TimeSpan delay)
    {
        if (delay == TimeSpan.Zero || (countAttempt && name.Attempt >= _numbers.MaxAttempts)) return Release(path, name, countAttempt, "");
        return PrivateFile.Move(path,
            Path.Combine(_files.Delayed, DelayedName.In(delay, name.Id, name.Attempt + (countAttempt ? 1 : 0)).ToString()));
    }

    bool IWorkLeaseOwner.DeadLetter(in SlotToken token, string reason)
    {
        ArgumentNullException.ThrowIfNull(reason);
        return End(token, name => MoveToDeadLetters(_me.PathOf(name), name, reason));
    }

    // The payload is this process's own memory, and stays as long as somebody has it.
    PayloadRetention IWorkLeaseOwner.Retain(in SlotToken token, ReadOnlyMemory<byte> payload) =>
        _held.ContainsKey(token.Word) ? new PayloadRetention(payload)
        : throw new InvalidOperationException("the lease has ended, and its payload with it");

    public override IReadOnlyList<DeadLetter> GetDeadLetters(int max = 100) => Call(() =>
    {
        var letters = new List<DeadLetter>();
        foreach (MessageName name in QueueFiles.MessagesIn(_files.Dead).Order().Take(max))
        {
            string path = Path.Combine(_files.Dead, name.ToString());
            // Dropped or requeued meanwhile.
            if (!TryRead(path, out ReadOnlyMemory<byte> payload, out string? problem) && problem is null) continue;
            string reason = TryReadReason(ReasonPath(name)) ?? problem ?? "";
            letters.Add(new DeadLetter(DeadLetterId.FromToken(new SlotToken(name.Id, LetterIndex(name))), payload, name.Attempt, reason));
        }

        return letters;
    });

    public override bool RequeueDeadLetter(DeadLetterId id) => Call(() =>
    {
        if (FindLetter(id) is not { } letter) return false;
        var again = new MessageName(Math.Max(letter.Time, QueueTime.UnixMilliseconds), letter.Id, 1);
        if (!PrivateFile.Move(Path.Combine(_files.Dead, letter.ToString()), Path.Combine(_files.Ready, again.ToString()))) return false;
        PrivateFile.Remove(ReasonPath(letter));
        return true;
    });

    public override bool DeleteDeadLetter(DeadLetterId id) => Call(() =>
    {
        if (FindLetter(id) is not { } letter || !PrivateFile.Remove(Path.Combine(_files.Dead, letter.ToString()))) return false;
        PrivateFile.Remove(ReasonPath(letter));
        return true;
    });

    /// <summary>Moves the next message into this handle's directory. Of all processes that try, one succeeds.</summary>
    private bool TryTake(out MessageName name)
    {
        lock (_taking)
        {
            while (_ready.TryNext(out name))
            {
                if (PrivateFile.Move(Path.Combine(_files.Ready, name.ToString()), Mine().PathOf(name))) return true;
            }
        }

        return SweepNowAndThen() && TryTake(out name);
    }

    /// <summary>Reads a message that was just taken. A file that is not a valid message is moved to the dead letters
    /// for a person to inspect.</summary>
    private bool TryReadTaken(MessageName name, out ReadOnlyMemory<byte> payload)
    {
        string path = _me.PathOf(name);
        try
        {
            if (TryRead(path, out payload, out string? problem)) return true;
            if (problem is not null) MoveToDeadLetters(path, name, problem);
            return false;
        }
        catch (IOException)
        {
            // Not the message's fault (no descriptors left, a failing disk): it stays work.
            Release(path, name, countAttempt: false, "");
            throw;
        }
    }

    private WorkLease Hold(MessageName name, ReadOnlyMemory<byte> payload)
    {
        var token = new SlotToken(Interlocked.Increment(ref _tokens), 0);
        _held[token.Word] = name;
        return new WorkLease(this, token, payload, name.Attempt);
    }

    /// <summary>Ends a lease, of several threads for one.</summary>
    private bool End(in SlotToken token, Func<MessageName, bool> end)
    {
        if (!_use.TryEnterLate()) return false;
        int ended = 1;
        try
        {
            if (!_held.TryRemove(token.Word, out MessageName name)) return false;
            try
            {
                bool done = end(name);
                ended++;
                return done;
            }
            catch
            {
                // It did not end, and may be asked to again.
                _held[token.Word] = name;
                throw;
            }
        }
        finally
        {
            _use.Exit(ended);
        }
    }

    /// <summary>Makes a message ready again, or gives it up where it was tried too often.</summary>
    private bool Release(string path, MessageName name, bool countAttempt, string why)
    {
        if (countAttempt && name.Attempt >= _numbers.MaxAttempts)
            return MoveToDeadLetters(path, name,
                $"given up after {name.Attempt} attempts, the limit is {_numbers.MaxAttempts}{(why.Length > 0 ? "; " + why : "")}");
        MessageName again = countAttempt ? name with { Attempt = name.Attempt + 1 } : name;
        bool moved = PrivateFile.Move(path, Path.Combine(_files.Ready, again.ToString()));
        if (moved && !_use.IsClosed)
        {
            lock (_taking) _ready.Forget();
        }

        return moved;
    }

    /// <summary>Gives a message up. The reason first: a letter that is seen has its reason.</summary>
    private bool MoveToDeadLetters(string path, MessageName name, string reason)
    {
        // Later than any time it was ready, so that no two letters of one message have the same name.
        MessageName letter = name with { Time = Math.Max(name.Time + 1, QueueTime.UnixMilliseconds) };
        string written = Mine().NewPath();
        try
        {
            PrivateFile.WriteNew(written, Encoding.UTF8.GetBytes(Cut(reason) + "\n"), _options.Flush).Dispose();
            PrivateFile.Move(written, ReasonPath(letter));
        }
        catch (IOException)
        {
            // A full disk has no room for a reason; a rename needs none.
        }

        if (PrivateFile.Move(path, Path.Combine(_files.Dead, letter.ToString()))) return true;
        PrivateFile.Remove(ReasonPath(letter));
        return false;
    }

    private MessageName? FindLetter(DeadLetterId id)
    {
        SlotToken token = id.ToToken();
        foreach (MessageName name in QueueFiles.MessagesIn(_files.Dead))
        {
            if (name.Id == token.Word && LetterIndex(name) == token.Index) return name;
        }

        return null;
    }

    /// <summary>Gets a number that distinguishes one letter of a message from an earlier one.</summary>
    private static int LetterIndex(MessageName letter) => (int)(letter.Time & int.MaxValue);

    private string ReasonPath(MessageName letter) => Path.Combine(_files.Dead, Path.ChangeExtension(letter.ToString(), ReasonExtension));

    private static string? TryReadReason(string path)
    {
        try
        {
            using SafeFileHandle? file = PrivateFile.TryOpen(path, FileAccess.Read);
            return file is null ? null
                : Encoding.UTF8.GetString(MessageText.WithoutEnd(PrivateFile.ReadAll(file, path, 16 * MostReasonBytes)).Span);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or CorruptSegmentException)
        {
            return e.Message;
        }
    }

    /// <summary>Cuts a reason where it is too long, between two characters.</summary>
    private static string Cut(string reason)
    {
        if (Encoding.UTF8.GetByteCount(reason) <= MostReasonBytes) return reason;
        int bytes = 0, length = 0;
        foreach (Rune rune in reason.EnumerateRunes())
        {
            if ((bytes += rune.Utf8SequenceLength) > MostReasonBytes) break;
            length += rune.Utf16SequenceLength;
        }

        return reason[..length];
    }

    /// <summary>Reads a message.</summary>
    /// <param name="path">The path of its file.</param>
    /// <param name="payload">The message.</param>
    /// <param name="problem">Why it cannot be read; <see langword="null"/> if it has gone.</param>
    private bool TryRead(string path, out ReadOnlyMemory<byte> payload, out string? problem)
    {
        payload = default;
        problem = null;
        try
        {
            using SafeFileHandle? file = PrivateFile.TryOpen(path, FileAccess.Read);
            if (file is null) return false;
            payload = MessageText.Decode(
                MessageText.WithoutEnd(PrivateFile.ReadAll(file, path, MessageText.MostBytes(MaxMessageBytes) + 2)));
            if (payload.Length <= MaxMessageBytes) return true;
            problem = $"message of {payload.Length:N0} bytes exceeds the limit of {MaxMessageBytes:N0}";
            payload = default;
        }
        catch (Exception e) when (e is UnauthorizedAccessException or CorruptSegmentException)
        {
            problem = e.Message;
        }

        return false;
    }
}
