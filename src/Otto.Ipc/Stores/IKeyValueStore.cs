namespace Otto.Ipc;

// The store shape: the last value for each key, and notification of changes.

/// <summary>Values by key, shared with other processes: each read gives the last value that was set, whole.</summary>
/// <remarks>
/// <para>
/// Safe for any number of threads. Keys are checked by <see cref="StoreKey"/>, patterns by <see cref="KeyPattern"/>.
/// </para>
/// <para>A value is any bytes. If a transport keeps JSON, a value that is JSON is kept as
/// such, for <c>jq</c> and for other languages
/// (white space around it may be lost); any other bytes are kept as
/// <see cref="StoredJson"/> says, and read back exactly.</para>
/// </remarks>
public interface IKeyValueStore : IAsyncDisposable
{
    /// <summary>The store's name.</summary>
    ChannelName Name { get; }

    /// <summary>The largest value in bytes; <see langword="null"/> if only room bounds it.</summary>
    int? MaxValueBytes { get; }

    /// <summary>Reads a value.</summary>
    /// <param name="key">The key.</param>
    /// <param name="cancellationToken">Gives up waiting for it.</param>
    /// <returns>The value, <see langword="null"/> if there is no such key.</returns>
    /// <exception cref="ArgumentException">The key is not valid; the message has the reason.</exception>
    ValueTask<ReadOnlyMemory<byte>?> GetAsync(string key, CancellationToken cancellationToken = default);

    /// <summary>Sets a value, whole: a reader beside it sees the old one or this one.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">The bytes; may be empty.</param>
    /// <param name="cancellationToken">Gives up waiting; the value may have been set nevertheless.</param>
    /// <returns>Completes when every reader sees it.</returns>
    /// <exception cref="ArgumentException">
    /// The key is not valid, or the value exceeds the limit; the message has the numbers, and the old value stays.
    /// </exception>
    /// <exception cref="IOException">
    /// There is no room for it; the message has the numbers, and the old value stays.
    /// </exception>
    ValueTask SetAsync(string key, ReadOnlyMemory<byte> value, CancellationToken cancellationToken = default);

    /// <summary>Removes a key.</summary>
    /// <param name="key">The key.</param>
    /// <param name="cancellationToken">Gives up waiting; the key may be gone nevertheless.</param>
    /// <returns><see langword="true"/> if it was removed; <see langword="false"/> if there was no such key.</returns>
    ValueTask<bool> DeleteAsync(string key, CancellationToken cancellationToken = default);

    /// <summary>Lists keys.</summary>
    /// <param name="pattern">Which ones, as <see cref="KeyPattern"/> understands it; <c>*</c> for all.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <returns>The keys in ordinal order.</returns>
    ValueTask<IReadOnlyList<string>> ListAsync(string pattern = "*", CancellationToken cancellationToken = default);

    /// <summary>Watches keys from now on.</summary>
    /// <param name="pattern">Which ones.</param>
    /// <param name="snapshot">
    /// Whether the present values come first, so that no change is missed between reading and watching.
    /// </param>
    /// <param name="cancellationToken">Stops waiting for the watch to start.</param>
    /// <returns>The watch, started: every change after this is reported. Dispose it to end it.</returns>
    ValueTask<IStoreWatch> WatchAsync(string pattern = "*", bool snapshot = false, CancellationToken cancellationToken = default);
}

/// <summary>The changes of a store. Enumerate it once, on one thread at a time.</summary>
/// <remarks>
/// A reader that is slower than the changes gets the newest value of each key, not every value between; the last one
/// always comes.
/// </remarks>
public interface IStoreWatch : IAsyncEnumerable<StoreChange>, IAsyncDisposable;

/// <summary>One change of a store.</summary>
/// <param name="Kind">What happened.</param>
/// <param name="Key">To which key.</param>
/// <param name="Value">The new value; empty if the key was removed.</param>
public readonly record struct StoreChange(StoreChangeKind Kind, string Key, ReadOnlyMemory<byte> Value);

/// <summary>What happened to a key.</summary>
public enum StoreChangeKind
{
    /// <summary>It has a new value.</summary>
    Set,

    /// <summary>It was removed.</summary>
    Deleted,
}
