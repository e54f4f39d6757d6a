using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace Otto.Queue;

// Progress from handlers here to whoever watches, here or in other processes.

internal sealed class ProgressHub(TaskEventPublisher events, PendingResults results)
{
    private const int PublishEveryMilliseconds = 100;
    private const int MostForgotten = 4096;

    private readonly ConcurrentDictionary<TaskId, Channel<TaskProgress>[]> _watchers = new();
    private readonly ConcurrentDictionary<TaskId, long> _published = new();
    private readonly ConcurrentDictionary<TaskProgress, bool> _echoes = new();

    /// <summary>Takes a handler's report.</summary>
    internal void Report(TaskProgress progress)
    {
        Receive(progress);
        long now = Environment.TickCount64;
        bool last = progress.Total > 0 && progress.Done >= progress.Total;
        if (!last && _published.TryGetValue(progress.Id, out long published) && now - published < PublishEveryMilliseconds) return;
        if (_published.Count >= MostForgotten) _published.Clear();
        if (last) _published.TryRemove(progress.Id, out _);
        else _published[progress.Id] = now;
        byte[] message = TaskEvent.Progress(progress);
        if (!_watchers.IsEmpty && TaskEvent.TryReadProgress(message, out TaskProgress echo))
        {
            if (_echoes.Count >= MostForgotten) _echoes.Clear();
            _echoes.TryAdd(echo, true);
        }

        events.Publish(message);
    }

    /// <summary>Takes a report that a process published, unless it is our own that comes back: the watchers here have
    /// that already.</summary>
    internal void ReceiveEvent(in TaskProgress progress)
    {
        if (!_echoes.ContainsKey(progress)) Receive(progress);
    }

    /// <summary>Passes a report on to the watchers here.</summary>
    internal void Receive(in TaskProgress progress)
    {
        if (_watchers.IsEmpty) return;
        Pass(progress.Id, progress);
        Pass(default, progress); // Who watches no task watches them all.
    }

    private void Pass(TaskId id, in TaskProgress progress)
    {
        if (!_watchers.TryGetValue(id, out Channel<TaskProgress>[]? channels)) return;
        foreach (Channel<TaskProgress> channel in channels) channel.Writer.TryWrite(progress);
    }

    /// <summary>Ends the watching of a task whose result has come.</summary>
    internal void End(TaskId id)
    {
        if (!_watchers.TryRemove(id, out Channel<TaskProgress>[]? channels)) return;
        foreach (Channel<TaskProgress> channel in channels) channel.Writer.TryComplete();
    }

    internal async IAsyncEnumerable<TaskProgress> WatchAsync(TaskId id, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // Only the newest matters to somebody who looks seldom.
        Channel<TaskProgress> channel =
            Channel.CreateBounded<TaskProgress>(
                new BoundedChannelOptions(64) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
        _watchers.AddOrUpdate(id, [channel], (_, others) => [.. others, channel]);
        if (results.HasCome(id)) channel.Writer.TryComplete(); // Before we watched: nobody will end it.
        try
        {
            // Without a token: a bounded channel may lose an item to a cancelled read.
            await using CancellationTokenRegistration stop =
                cancellationToken.UnsafeRegister(static c => ((Channel<TaskProgress>)c!).Writer.TryComplete(), channel);
            while (await channel.Reader.WaitToReadAsync(CancellationToken.None).ConfigureAwait(false))
                while (channel.Reader.TryRead(out TaskProgress progress)) yield return progress;
            cancellationToken.ThrowIfCancellationRequested();
        }
        finally
        {
            _watchers.AddOrUpdate(id, [], (_, all) => [.. all.Where(c => c != channel)]);
            if (_watchers.TryGetValue(id, out Channel<TaskProgress>[]? left) && left.Length == 0)
                _watchers.TryRemove(KeyValuePair.Create(id, left));
        }
    }
}
