using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Regions;

// A task's data as one JSON object in a file that any language can read: docs/layouts.md, "Region".

/// <summary>A task's data: one JSON object in a shared file, read and written by any number
/// of processes in any language.</summary>
/// <remarks>
/// <para>All members may be called from any thread. A handle keeps nothing open between
/// calls, so there is nothing to dispose.</para>
/// <para>Between programs that use this class, a reader sees the old value or the new one, no update is lost, and a
/// writer may be killed at any instruction. Other programs see the file as it is being
/// written; see docs/layouts.md for what they may do.</para>
/// <para>The file is mode 0600 and must belong to this process's effective user. Its size
/// is fixed when it is made.</para>
/// <para>Every member throws <see cref="FileNotFoundException"/> where the file is gone,
/// <see cref="UnauthorizedAccessException"/> where it is a link, no regular file, or another
/// user's, and <see cref="CorruptSegmentException"/> where its bytes fail a check.</para>
/// </remarks>
public sealed class JsonRegion
{
    internal static readonly TimeSpan FirstPoll = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan LongestPoll = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ReplaceTime = TimeSpan.FromMilliseconds(100);

    private readonly RegionOptions _options;

    private JsonRegion(string path, RegionOptions options)
    {
        FilePath = path;
        _options = options;
    }

    /// <summary>The region's file.</summary>
    public string FilePath { get; }

    /// <summary>How many bytes of JSON the region can hold.</summary>
    public long CapacityBytes
    {
        get
        {
            using RegionFile file = RegionFile.TryOpen(FilePath, forWriting: false) ?? throw Missing(FilePath);
            RegionTrailer? trailer = RegionReader.Trailer(file, out string? problem);
            return problem is null ? trailer?.Limit ?? Math.Max(0, file.Size - RegionLayout.LengthBytes)
                : throw RegionReader.Corrupt(FilePath, problem);
        }
    }

    /// <summary>Opens a region that exists, and finishes what a killed writer left undone.</summary>
    /// <param name="location">Which region.</param>
    /// <param name="options">How it is waited for.</param>
    /// <returns>The region.</returns>
    /// <exception cref="FileNotFoundException">There is none.</exception>
    public static JsonRegion Open(RegionLocation location, RegionOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(location);
        string path = location.Find() ?? throw new FileNotFoundException(
            $"no region of task '{location.Task}': looked for {location.Describe()}; name it by path, pid or "
            + $"{RegionLocation.ProcessVariable}, or write it first");
        return OpenPath(path, Checked(options));
    }

    /// <summary>Opens a region, or makes an empty one where there is none.</summary>
    /// <param name="location">Which region.</param>
    /// <param name="options">How large it is made, and how it is waited for.</param>
    /// <returns>The region.</returns>
    /// <exception cref="RegionFullException">The file system has no room for it.</exception>
    public static JsonRegion OpenOrCreate(RegionLocation location, RegionOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(location);
        RegionOptions valid = Checked(options);
        string path = location.FindOrName();
        return RegionFile.TryCreate(path, valid.CapacityBytes) ? new JsonRegion(path, valid) : OpenPath(path, valid);
    }

    /// <summary>Makes an empty region.</summary>
    /// <param name="location">Which region.</param>
    /// <param name="options">How large it is made, and how it is waited for.</param>
    /// <returns>The region.</returns>
    /// <exception cref="IOException">A file of that name exists; it was not touched.</exception>
    /// <exception cref="RegionFullException">The file system has no room for it.</exception>
    public static JsonRegion Create(RegionLocation location, RegionOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(location);
        RegionOptions valid = Checked(options);
        string path = location.FindOrName();
        if (RegionFile.TryCreate(path, valid.CapacityBytes)) return new JsonRegion(path, valid);
        throw new IOException($"the region {path} exists already; open it, or remove it first");
    }

    /// <summary>Reads the whole region. Takes no lock: writers that stand still do not hold it up.</summary>
    /// <returns>What it holds now.</returns>
    public RegionSnapshot Read() => TryRead() ?? throw Missing(FilePath);

    /// <summary>Reads one key.</summary>
    /// <param name="key">The key.</param>
    /// <returns>The value, or <see langword="null"/> if the region does not have the key. JSON's <c>null</c> is a
    /// value.</returns>
    public JsonElement? Get(string key)
    {
        RegionJson.CheckKey(key);
        return Read()[key];
    }

    /// <summary>Sets one key and leaves the others as they are.</summary>
    /// <param name="key">1 to 250 bytes without white space or control characters.</param>
    /// <param name="value">The value; a string, number or boolean converts by itself.</param>
    /// <param name="cancellationToken">Ends the waiting for other writers.</param>
    /// <exception cref="RegionFullException">The region would be too full; nothing was changed.</exception>
    /// <exception cref="TimeoutException">Other writers held the lock longer than the options allow.</exception>
    public void Set(string key, JsonNode? value, CancellationToken cancellationToken = default)
    {
        RegionJson.CheckKey(key);
        byte[] bytes = RegionJson.ToBytes(value);
        Change(text => RegionJson.With(text, key, bytes), cancellationToken);
    }

    /// <summary>Removes one key.</summary>
    /// <param name="key">The key.</param>
    /// <param name="cancellationToken">Ends the waiting for other writers.</param>
    /// <returns><see langword="true"/> if the key was removed; otherwise, <see langword="false"/>: the region did not
    /// have it.</returns>
    /// <exception cref="TimeoutException">Other writers held the lock longer than the options allow.</exception>
    public bool Remove(string key, CancellationToken cancellationToken = default)
    {
        RegionJson.CheckKey(key);
        return Change(text => RegionJson.With(text, key, []), cancellationToken);
    }

    /// <summary>Changes any number of keys at once, based on their current values. No other writer changes them
    /// between the reading and the writing.</summary>
    /// <param name="change">Changes the object it is given. It runs under the region's
    /// lock, so it should be short; what it throws leaves the region as it was.</param>
    /// <param name="cancellationToken">Ends the waiting for other writers.</param>
    /// <returns><see langword="true"/> if the object was changed; otherwise, <see langword="false"/>.</returns>
    /// <exception cref="RegionFullException">The region would be too full; nothing was changed.</exception>
    /// <exception cref="TimeoutException">Other writers held the lock longer than the options allow.</exception>
    public bool Update(Action<JsonObject> change, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(change);
        return Change(
            text =>
            {
                JsonObject root = RegionJson.ToObject(text);
                var before = root.Select(p => p.Key).ToHashSet(StringComparer.Ordinal);
                change(root);
                foreach (KeyValuePair<string, JsonNode?> property in root)
                    if (!before.Contains(property.Key))
                        RegionJson.CheckKey(property.Key);
                return RegionJson.ToBytes(root);
            },
            cancellationToken);
    }

    /// <summary>Waits until the region holds something else than it did.</summary>
    /// <param name="since">What it held.</param>
    /// <param name="timeout">The longest time to wait. <see cref="Timeout.InfiniteTimeSpan"/> waits
    /// indefinitely.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>What the region holds now, or <see langword="null"/> if the timeout elapsed without a
    /// change.</returns>
    /// <remarks>
    /// Sleeps in the kernel. A change by this class or by ordinary file writes wakes it at once. A change that another
    /// program stored through a mapping is seen after 10 ms at first and, when nothing happens for long, after a
    /// second. A value that is set and changed back between two checks is not seen.
    /// </remarks>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public RegionSnapshot? WaitForChange(RegionSnapshot since, TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(since);
        CheckTimeout(timeout);
        long start = Stopwatch.GetTimestamp();
        using IFileWatch? watch = FileWatch.TryOpen(FilePath, cancellationToken);
        for (TimeSpan pause = FirstPoll; ; pause = Longer(pause))
        {
            cancellationToken.ThrowIfCancellationRequested();
            RegionSnapshot? now = TryRead();
            if (now is null)
            {
                // A program that replaces the file by removing it first leaves a gap.
                cancellationToken.WaitHandle.WaitOne(ReplaceTime);
                now = Read();
                watch?.Arm();
            }

            if (!now.SameAs(since)) return now;
            TimeSpan left = Left(start, timeout);
            if (left <= TimeSpan.Zero) return null;
            FileWatch.Sleep(watch, pause < left ? pause : left, cancellationToken);
        }
    }

    /// <summary>Waits as <see cref="WaitForChange"/> does, without holding a thread. It polls at the times given
    /// there, because it is not woken.</summary>
    /// <param name="since">What the region held.</param>
    /// <param name="timeout">The longest time to wait. <see cref="Timeout.InfiniteTimeSpan"/> waits
    /// indefinitely.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>What the region holds now, or <see langword="null"/> if the timeout elapsed without a
    /// change.</returns>
    public async Task<RegionSnapshot?> WaitForChangeAsync(RegionSnapshot since, TimeSpan timeout,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(since);
        CheckTimeout(timeout);
        long start = Stopwatch.GetTimestamp();
        for (TimeSpan pause = FirstPoll; ; pause = Longer(pause))
        {
            cancellationToken.ThrowIfCancellationRequested();
            RegionSnapshot? now = TryRead();
            if (now is null)
            {
                await Task.Delay(ReplaceTime, cancellationToken).ConfigureAwait(false);
                now = Read();
            }

            if (!now.SameAs(since)) return now;
            TimeSpan left = Left(start, timeout);
            if (left <= TimeSpan.Zero) return null;
            await Task.Delay(pause < left ? pause : left, cancellationToken).ConfigureAwait(false);
        }
    }

    private static JsonRegion OpenPath(string path, RegionOptions options)
    {
        if (!RegionWriter.FinishDeadWriter(path)) throw Missing(path);
        return new JsonRegion(path, options);
    }

    private static RegionOptions Checked(RegionOptions? options)
    {
        options ??= new RegionOptions();
        options.Validate();
        return options;
    }

    private static FileNotFoundException Missing(string path) =>
        new($"no region at {path}; write it first, or name another by path or pid", path);

    private static void CheckTimeout(TimeSpan timeout)
    {
        if (timeout < TimeSpan.Zero && timeout != Timeout.InfiniteTimeSpan)
            throw new ArgumentException($"a timeout cannot be negative: {timeout}", nameof(timeout));
    }

    private static TimeSpan Left(long start, TimeSpan timeout) =>
        timeout == Timeout.InfiniteTimeSpan ? TimeSpan.MaxValue : timeout - Stopwatch.GetElapsedTime(start);

    internal static TimeSpan Longer(TimeSpan pause) => pause * 2 < LongestPoll ? pause * 2 : LongestPoll;

    /// <summary>The region's text now, checked; <paramref name="known"/> itself where it
    /// has not changed since.</summary>
    internal byte[] ReadText(byte[]? known = null) => RegionReader.Read(FilePath, _options.SettleTime, known) ?? throw Missing(FilePath);

    /// <summary>Changes the text, unless another writer holds the lock just now.</summary>
    /// <param name="change">As in <see cref="RegionWriter.Update"/>.</param>
    /// <param name="changed">Whether there was anything to change.</param>
    /// <returns><see langword="true"/> if the lock was taken; otherwise, <see langword="false"/>: nothing was
    /// done.</returns>
    internal bool TryChange(Func<byte[], byte[]?> change, out bool changed)
    {
        changed = false;
        using RegionFile file = RegionFile.TryOpen(FilePath, forWriting: true) ?? throw Missing(FilePath);
        if (!RegionLock.TryAcquire(file)) return false;
        try
        {
            if (!file.IsCurrent()) return false; // replaced while it was opened
            file.Refresh();
            changed = RegionWriter.Update(file, change);
            return true;
        }
        finally
        {
            RegionLock.Release(file);
        }
    }

    private RegionSnapshot? TryRead() => RegionReader.Read(FilePath, _options.SettleTime) is { } text ? new RegionSnapshot(text) : null;

    private bool Change(Func<byte[], byte[]?> change, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            RegionFile file = RegionLock.Acquire(FilePath, _options.LockTimeout, cancellationToken) ?? throw Missing(FilePath);
            try
            {
                return RegionWriter.Update(file, change);
            }
            catch (CorruptSegmentException) when (Stopwatch.GetElapsedTime(start) < _options.SettleTime)
            {
                // A foreign program may be writing without the lock; let it finish.
            }
            finally
            {
                RegionLock.Release(file);
                file.Dispose();
            }

            Thread.Sleep(1);
        }
    }
}
