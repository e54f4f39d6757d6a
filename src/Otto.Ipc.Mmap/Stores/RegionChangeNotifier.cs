using Otto.Ipc.Mmap.Regions;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Stores;

// One thread for all watches of a store's handle: it sleeps in the kernel until the region changes, and wakes who waits. It is there only
// while somebody watches.

internal sealed class RegionChangeNotifier(JsonRegion region) : IDisposable
{
    private readonly Lock _gate = new();
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private CancellationTokenSource? _stop;
    private byte[]? _found;
    private int _watches;
    private bool _disposed;

    public JsonRegion Region => region;

    /// <summary>Begins to listen, for one watch.</summary>
    public void Join()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_watches++ > 0) return;
            _stop = new CancellationTokenSource();
            CancellationToken stop = _stop.Token;
            new Thread(() => Listen(stop)) { IsBackground = true, Name = "otto-store-watch" }.Start();
        }
    }

    /// <summary>Ends listening, for one watch.</summary>
    public void Leave()
    {
        lock (_gate)
        {
            if (_watches == 0 || --_watches > 0) return;
            Stop();
        }
    }

    /// <summary>Completes with the next change. To be asked for before looking, so that none falls between.</summary>
    public Task NextChange
    {
        get
        {
            lock (_gate) return _disposed ? Task.CompletedTask : _changed.Task;
        }
    }

    public bool IsDisposed => Volatile.Read(ref _disposed);

    public void Dispose()
    {
        lock (_gate)
        {
            Volatile.Write(ref _disposed, true);
            _watches = 0;
            Stop();
            _changed.TrySetResult();
        }
    }

    private void Stop()
    {
        // The thread disposes it: it may still be about to register with it.
        _stop?.Cancel();
        _stop = null;
    }

    /// <summary>Records what a watch found after it asked for <see cref="NextChange"/>. From then on, every text that
    /// differs is a change.</summary>
    /// <remarks>
    /// A key that was added and removed between two checks by the thread is therefore not missed by a watch that saw
    /// it added. A watch that records a new text wakes all watches, including itself, because every watch that waits
    /// has recorded the text that the thread compares with.
    /// </remarks>
    /// <param name="text">The text, or <see langword="null"/> if the region could not be read. That is always reported
    /// as a change.</param>
    public void Found(byte[]? text)
    {
        TaskCompletionSource told;
        lock (_gate)
        {
            if (text is not null && _found is not null && _found.AsSpan().SequenceEqual(text)) return;
            _found = text;
            told = _changed;
            if (!_disposed) _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        told.TrySetResult();
    }

    private void Listen(CancellationToken stop)
    {
        using IFileWatch? watch = FileWatch.TryOpen(region.FilePath, stop);
        byte[]? found = null;
        TimeSpan pause = JsonRegion.FirstPoll;
        while (!stop.IsCancellationRequested)
        {
            try
            {
                byte[] now = region.ReadText(found);
                pause = ReferenceEquals(now, found) ? JsonRegion.Longer(pause) : JsonRegion.FirstPoll;
                Found(found = now);
            }
#pragma warning disable CA1031 // What a thread throws ends the process.
            catch (Exception)
#pragma warning restore CA1031
            {
                // Gone or damaged: whoever watches looks for itself, and is told what is wrong.
                Found(null);
                pause = TimeSpan.FromMilliseconds(200);
            }

            FileWatch.Sleep(watch, pause, stop);
        }
    }
}
