using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Queues;

// How the message of a slot is filed in the index: read from its labels before the slot is given away, and taken out after.

internal sealed class SlotFiling(SegmentMapping map, QueueLayout layout, SlotIndex index)
{
    public SlotTags TagsOf(int slot) => (SlotTags)Volatile.Read(ref map.Byte(layout.Slot(slot) + QueueLayout.Tags));

    public UInt128 IdOf(int slot)
    {
        long at = layout.Labels(slot) + QueueLayout.LabelId;
        return new UInt128((ulong)Volatile.Read(ref map.Long(at + 8)), (ulong)Volatile.Read(ref map.Long(at)));
    }

    public ulong KeyOf(int slot) => (ulong)Volatile.Read(ref map.Long(layout.Labels(slot) + QueueLayout.LabelKey));

    /// <summary>What the slot's message is filed under now; nothing if it has neither an id nor a key.</summary>
    public Filing Of(int slot)
    {
        SlotTags tags = TagsOf(slot);
        return tags == SlotTags.None ? default
            : new Filing(tags, Volatile.Read(ref map.Long(layout.Slot(slot) + QueueLayout.Use)), IdOf(slot), KeyOf(slot));
    }

    /// <summary>Files a message under its id, before it is committed.</summary>
    public void AddId(int slot, SlotTags tags)
    {
        if ((tags & SlotTags.HasId) != 0) index.Add(SlotIndex.HashOf(IdOf(slot)), slot);
    }

    /// <summary>Files a message under its key again, beside another that may have the key.</summary>
    public void AddKey(int slot)
    {
        if ((TagsOf(slot) & SlotTags.HasKey) != 0) index.Add(SlotIndex.HashOf(KeyOf(slot)), slot);
    }

    /// <summary>Takes out a message that has ended.</summary>
    public void Remove(int slot, in Filing filing)
    {
        if ((filing.Tags & SlotTags.HasId) != 0) index.Remove(SlotIndex.HashOf(filing.Id), slot, filing.Use);
        RemoveKey(slot, filing);
    }

    /// <summary>Takes out the key of a message that is kept: it holds its key no longer, and a bucket has room for a
    /// few only.</summary>
    public void RemoveKey(int slot, in Filing filing)
    {
        if ((filing.Tags & SlotTags.HasKey) != 0) index.Remove(SlotIndex.HashOf(filing.Key), slot, filing.Use);
    }
}

/// <summary>What a message is filed under.</summary>
internal readonly record struct Filing(SlotTags Tags, long Use, UInt128 Id, ulong Key);
