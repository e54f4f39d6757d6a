using System.Globalization;

namespace Otto.Queue.Redis;

// Producing: whatever is enqueued while a batch is on its way goes with the next, so that a lone task pays one round trip and a crowd
// shares one. A batch whose answer was lost is sent again under its number until there is an answer: the
// server knows whether it had it, so no task enters twice.

internal sealed class RedisSender(RedisClient client, QueueKeys keys, RedisRouteOptions options, string name, CancellationToken closing)
{
    private const int MostInBatch = 128;
    private const int MostBytesInBatch = 1 << 20;
    private const int MostWaiting = 10_000;
    private const long MostBytesWaiting = 128 << 20;

    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(200);

    private readonly string[] _scriptKeys = [.. keys.All, keys.Sent(name)];
    private readonly ServerChannel _nudge = keys.WakeUp("");
    private readonly string _capacity = options.Capacity.ToString(CultureInfo.InvariantCulture);
    private readonly Lock _lock = new();
    private readonly List<Pending> _waiting = [];
    private TaskCompletionSource? _halfEmpty;
    private long _waitingBytes;
    private bool _flushing;
    private long _batches;

    internal ValueTask<SendResult> SendAsync(ReadOnlySpan<byte> message, in SendOptions options, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(closing.IsCancellationRequested, typeof(TaskChannel));
        if (client.Error is not null) return new(SendOutcome.Unavailable);
        if (IsFull(message.Length)) return new(SendOutcome.Full); // A glance, before it is copied; judged again under the lock.
        Pending pending = new(message.ToArray(), options);
        bool start;
        lock (_lock)
        {
            if (IsFull(message.Length)) return new(SendOutcome.Full);
            _waiting.Add(pending);
            _waitingBytes += message.Length;
            start = !_flushing;
            _flushing = true;
        }

        if (start) _ = FlushAsync();
        return new(cancellationToken.CanBeCanceled ? WaitAsync(pending, cancellationToken) : pending.Answer.Task);
    }

    /// <summary>Whether every batch has its answer.</summary>
    internal bool IsIdle
    {
        get
        {
            lock (_lock) return !_flushing;
        }
    }

    /// <summary>Called with what the queue holds, where it was full.</summary>
    internal Action<string[]>? Counted { get; set; }

    /// <summary>Completes when no more than half of what may wait here does.</summary>
    internal Task HalfEmpty
    {
        get
        {
            lock (_lock) return IsHalfEmpty ? Task.CompletedTask
                : (_halfEmpty ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }

    private bool IsHalfEmpty => _waiting.Count <= MostWaiting / 2 && _waitingBytes <= MostBytesWaiting / 2;

    private bool IsFull(int bytes) => _waiting.Count >= MostWaiting || (_waiting.Count > 0 && _waitingBytes + bytes > MostBytesWaiting);

    private async Task<SendResult> WaitAsync(Pending pending, CancellationToken cancellationToken)
    {
        try
        {
            return await pending.Answer.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            lock (_lock)
            {
                if (_waiting.Remove(pending)) _waitingBytes -= pending.Message.Length; // Not on its way yet: then it is never sent.
                NotifyIfHalfEmpty();
            }

            throw;
        }
    }

    private void NotifyIfHalfEmpty()
    {
        if (!IsHalfEmpty) return;
        _halfEmpty?.TrySetResult();
        _halfEmpty = null;
    }

    private async Task FlushAsync()
    {
        List<Pending> batch = [];
        while (true)
        {
            batch.Clear();
            lock (_lock)
            {
                if (_waiting.Count == 0)
                {
                    _flushing = false;
                    return;
                }

                int bytes = 0;
                foreach (Pending pending in _waiting)
                {
                    if (batch.Count == MostInBatch || (bytes += pending.Message.Length) > MostBytesInBatch && batch.Count > 0) break;
                    batch.Add(pending);
                }

                _waiting.RemoveRange(0, batch.Count);
                _waitingBytes -= batch.Sum(static p => (long)p.Message.Length);
                NotifyIfHalfEmpty();
            }

            try
            {
                string[] answers = await SendBatchAsync(batch).ConfigureAwait(false);
                if (answers[^1] is ['=', .. var counts]) Counted?.Invoke(counts.Split(','));
                for (int i = 0; i < batch.Count; i++) batch[i].Answer.TrySetResult(Read(answers[i]));
            }
            catch (Exception e)
            {
                foreach (Pending pending in batch) pending.Answer.TrySetException(e);
            }
        }
    }

    private async Task<string[]> SendBatchAsync(List<Pending> batch)
    {
        char[] letters = new char[batch.Count];
        List<object> messages = new(batch.Count);
        for (int i = 0; i < letters.Length; i++)
        {
            SendOptions options = batch[i].Terms;
            messages.Add(batch[i].Message);
            letters[i] = options.Delay == TimeSpan.Zero && options.Key is null ? 'p' : 't';
            if (letters[i] == 'p') continue;
            messages.Add((long)Math.Ceiling(options.Delay.TotalMilliseconds));
            messages.Add(options.Key ?? "");
        }

        object[] arguments = [_nudge, _capacity, (++_batches).ToString(CultureInfo.InvariantCulture), new string(letters), .. messages];
        while (true)
        {
            try
            {
                string said = (await client.RunAsync(RedisScripts.Send, _scriptKeys, arguments).ConfigureAwait(false)).Text;
                // Without them it is asked again: the server that leads then knows the batch by its number, or gets it.
                if (options.MinReplicas > 0) await client.WaitForReplicasAsync(keys.Stream, options.MinReplicas).ConfigureAwait(false);
                return said.Split(' ');
            }
            catch (RedisUnavailableException e) when (e.OutOfMemory)
            {
                return [.. batch.Select(static _ => "0")];
            }
            catch (RedisUnavailableException e) when (!e.Refused)
            {
                if (closing.IsCancellationRequested)
                    throw new ObjectDisposedException(nameof(TaskChannel),
                        $"the queue was closed while Redis was unavailable ({e.Message}); the task may have been enqueued");
                await client.WaitForChangeAsync(RetryPause, closing).ConfigureAwait(false);
            }
        }
    }

    private static SendResult Read(string answer) => answer switch
    {
        "1" => SendOutcome.Sent,
        "2" => SendOutcome.Replaced,
        "0" => SendOutcome.Full,
        _ when TaskId.TryParse(answer, out TaskId existing) => new SendResult(SendOutcome.Duplicate, existing),
        _ => throw new RedisUnavailableException($"the send script answered '{answer}'"),
    };

    private sealed class Pending(byte[] message, SendOptions options)
    {
        internal byte[] Message { get; } = message;

        internal SendOptions Terms { get; } = options;

        // A producer's continuation on the flushing thread would hold up everybody else's batch.
        internal TaskCompletionSource<SendResult> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
