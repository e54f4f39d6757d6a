using System.Diagnostics.CodeAnalysis;

namespace Otto.Ipc.Uds.Protocol;

/// <summary>What the commands do, in whichever dialect they came.</summary>
internal interface ICommandHandler
{
    /// <summary>How many keys there are.</summary>
    int KeyCount { get; }

    /// <summary>Reads a value.</summary>
    bool TryGet(ReadOnlySpan<byte> key, [MaybeNullWhen(false)] out Value value);

    /// <summary>The keys that match, in the order of their bytes.</summary>
    byte[][] ListKeys(KeyPattern pattern);

    /// <summary>Sets a key.</summary>
    /// <returns>Why there is no room; <see langword="null"/> if it was set.</returns>
    string? Set(ReadOnlySpan<byte> key, Value value);

    /// <summary>Deletes a key.</summary>
    /// <returns><see langword="false"/> if there was none.</returns>
    bool Delete(ReadOnlySpan<byte> key);

    /// <summary>Publishes a message of a topic.</summary>
    void Publish(ReadOnlySpan<byte> topic, Value message);

    /// <summary>Stores progress under a task's key.</summary>
    /// <param name="task">The task.</param>
    /// <param name="arguments">The rest of the command: current, total or -, text.</param>
    /// <param name="problem">What is wrong with it, or why there is no room.</param>
    /// <returns>The code of the error; <see langword="null"/> if it was stored.</returns>
    string? Progress(ReadOnlySpan<byte> task, ReadOnlySpan<byte> arguments, out string problem);
}
