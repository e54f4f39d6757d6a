namespace Otto.Queue.Redis;

// Collecting results: whatever is asked for while a batch is on its way goes with the next. The server deletes a result only when we say
// that we have received it; until then it is reserved for us, so an answer that is lost can be asked for again.

internal sealed class RedisResults(RedisClient client, QueueKeys keys, string worker, CancellationToken closing)
{
    private const int MostInBatch = 128;
    private const int MostReceivedInBatch = 1000;
    private const int MostBytes = 4 << 20;
    private const int ReservedMilliseconds = 15_000;

    // An event with a result is longer than any of the script's numbers.
    private const int ShortestEvent = 20;

    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(200);

    private readonly Lock _lock = new();
    private readonly Dictionary<TaskId, Ask> _asks = [];
    private readonly Queue<Ask> _waiting = new();
    private readonly Queue<Ask> _received = new();
    private Task _running = Task.CompletedTask;
    private bool _isRunning;

    /// <summary>Asks for a result, and takes it if it is there.</summary>
    internal async ValueTask<ResultLookup> FindAsync(TaskId id, CancellationToken cancellationToken)
    {
        while (true)
        {
            Ask? ask;
            bool mine = false, isReceived;
            lock (_lock)
            {
                if (!_asks.TryGetValue(id, out ask))
                {
                    mine = true;
                    _asks[id] = ask = new Ask(id);
                    _waiting.Enqueue(ask);
                    EnsureRunning();
                }

                ask.Again = !mine;
                isReceived = ask.IsReceived;
            }

            if (mine) return await WaitAsync(ask, cancellationToken).ConfigureAwait(false);
            await ask.Ended.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
            // Whoever asked first has the answer.
            if (!isReceived) return default;
        }
    }

    /// <summary>A task's id as the scripts get it.</summary>
    internal static byte[] Field(TaskId id)
    {
        byte[] bytes = new byte[TaskId.Size];
        id.WriteTo(bytes);
        return bytes;
    }

    /// <summary>Waits until the server knows what was received.</summary>
    internal Task FlushAsync()
    {
        lock (_lock) return _running;
    }

    private async ValueTask<ResultLookup> WaitAsync(Ask ask, CancellationToken cancellationToken)
    {
        ResultLookup found;
        try
        {
            found = await ask.Answer.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            End(ask); // Not received: reserved for a while, then anyone's.
            throw;
        }

        if (found.Event is null)
        {
            End(ask);
            return found;
        }

        lock (_lock)
        {
            _received.Enqueue(ask);
            EnsureRunning();
        }

        return found;
    }

    private void End(Ask ask)
    {
        lock (_lock)
        {
            if (_asks.TryGetValue(ask.Id, out Ask? current) && ReferenceEquals(current, ask)) _asks.Remove(ask.Id);
        }

        ask.Ended.TrySetResult();
    }

    // Under the lock.
    private void EnsureRunning()
    {
        if (_isRunning) return;
        _isRunning = true;
        _running = Task.Run(RunAsync, CancellationToken.None);
    }

    private async Task RunAsync()
    {
        while (true)
        {
            List<Ask> batch = [], received = [];
            lock (_lock)
            {
                while (received.Count < MostReceivedInBatch && _received.TryDequeue(out Ask? one)) received.Add(one);
                while (batch.Count < MostInBatch && _waiting.TryDequeue(out Ask? one)) batch.Add(one);
                if (batch.Count + received.Count == 0)
                {
                    _isRunning = false;
                    return;
                }
            }

            try
            {
                object[] arguments = [worker, ReservedMilliseconds, MostBytes, received.Count, .. received.Select(static a => Field(a.Id)),
                    .. batch.Select(static a => Field(a.Id))];
                RedisReply[] items = (await client.RunAsync(RedisResultScripts.Collect, keys.All, arguments).ConfigureAwait(false)).Items;
                foreach (Ask one in received) End(one);
                for (int i = 0; i < batch.Count; i++) Take(batch[i], items[i].Bytes);
            }
            catch (Exception e) when (e is RedisUnavailableException or ObjectDisposedException or IndexOutOfRangeException)
            {
                foreach (Ask one in batch) one.Answer.TrySetException(e);
                if (e is RedisUnavailableException { Refused: false } && !closing.IsCancellationRequested)
                {
                    lock (_lock)
                        foreach (Ask one in received) _received.Enqueue(one);
                    await client.WaitForChangeAsync(RetryPause, closing).ConfigureAwait(false);
                }
                else
                {
                    foreach (Ask one in received) End(one);
                }
            }
        }
    }

    private void Take(Ask ask, byte[] answer)
    {
        if (answer.Length < ShortestEvent)
        {
            lock (_lock)
            {
                // It may have come since that look began.
                if (answer is [(byte)'2'] || answer is [(byte)'1'] && ask.Again)
                {
                    ask.Again = false;
                    _waiting.Enqueue(ask);
                    return;
                }

                _asks.Remove(ask.Id); // Whoever asks from now on asks anew.
            }

            ask.Answer.TrySetResult(new ResultLookup(null, IsGone: answer is [(byte)'0']));
            return;
        }

        lock (_lock) ask.IsReceived = true;
        ask.Answer.TrySetResult(new ResultLookup(answer));
    }

    private sealed class Ask(TaskId id)
    {
        internal TaskId Id => id;

        /// <summary>Whether the result was asked for once more while this was on its way.</summary>
        internal bool Again { get; set; }

        internal bool IsReceived { get; set; }

        internal TaskCompletionSource<ResultLookup> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>Completes when the result may be asked for anew.</summary>
        internal TaskCompletionSource Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
