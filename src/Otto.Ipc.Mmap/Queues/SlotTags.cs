namespace Otto.Ipc.Mmap.Queues;

/// <summary>Which labels a slot's message has.</summary>
[Flags]
internal enum SlotTags
{
    None = 0,

    /// <summary>An id, by which the index finds it.</summary>
    HasId = 1,

    /// <summary>A key, which no other message has meanwhile.</summary>
    HasKey = 2,

    /// <summary>Its result is kept, or that it was cancelled.</summary>
    KeepsResult = 4,
}
