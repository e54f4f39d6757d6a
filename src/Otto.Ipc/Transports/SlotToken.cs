namespace Otto.Ipc.Transports;

// Public so that a transport can be written outside this repository; a user of one never needs it.

/// <summary>For transports: what a slot or lease hands back to its owner so that it is found again.</summary>
/// <param name="Word">The owner's word, such as a position or the exact state the slot was left in.</param>
/// <param name="Index">The owner's index, such as a slot number.</param>
public readonly record struct SlotToken(long Word, int Index);
