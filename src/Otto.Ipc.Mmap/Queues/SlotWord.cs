namespace Otto.Ipc.Mmap.Queues;

// A slot's word says what the slot is and who is moving it. Whoever the word names, and nobody else, may touch the slot's other bytes.
//
//  63                              24 23      16 15        4 3     0
//  +---------------------------------+----------+-----------+-------+
//  | lap                             | attempts | owner     | state |
//  +---------------------------------+----------+-----------+-------+
//
//  lap       one more each time the slot becomes Released or Filled, that is, each time somebody owes it a cell in an index queue. A cell
//            carries the lap's low bits: it is good while the word has that state and lap, and once it is not, it never is again.
//  attempts  deliveries that ended badly so far
//  owner     the participant that moves the slot; in Released, Filled and Cancelled, the one that owes the cell, or owed it
//
//                 claim              commit              lease                 complete
//     Released ----------> Writing ----------> Filled ----------> Leased ----------------> Released
//                             | abort            ^  ^                | abandon               ^
//                             +--> Released      |  +----------------+                       |
//                             | keep             | requeue           | given up              |
//                             +--> Leased        +--- Dead <---------+                       |
//                             |                  |      +------------------------------------+ drop
//                             | commit, delayed  | due                                       |
//                             +--------------> Delayed <---- Leased (abandon, delayed)       |
//                                                | cancel                                    |
//                                                +-------------------------------------------+
//     Filled ---cancel---> Cancelled ---the queue comes to it---> Released
//     Leased ---> Ending ---> Delayed, Dead, Kept or Aside: its holder alone writes the time, the note, the result, or the subject
//     Writing ---> Offered ---> Filled, Delayed or Leased: of a message with a key; or Released, where another message has the key
//     Kept, Dead ---> Released: collected, dropped, or its time is over
//     Aside ---> Leased: by a worker that has the subject; or Released, cancelled
//     Cancelled ---> Withdrawn ---> Released: of a message whose result is waited for

internal enum SlotState
{
    Released = 0,
    Writing = 1,
    Filled = 2,
    Leased = 3,
    Dead = 4,
    Delayed = 5,
    Cancelled = 6,
    Ending = 7,

    /// <summary>Complete and in the index of keys, or about to be; any process that meets
    /// it there commits it.</summary>
    Offered = 8,

    /// <summary>Done, and its result waits to be collected.</summary>
    Kept = 9,

    /// <summary>Cancelled, which waits to be collected as a result does.</summary>
    Withdrawn = 10,

    /// <summary>Passed over: waits for a worker that has its subject.</summary>
    Aside = 11,
}

internal static class SlotWord
{
    /// <summary>No participant has this number.</summary>
    public const int NoOwner = 0xFFF;

    public const int MaxAttempts = 0xFF;

    public static long Make(SlotState state, int owner, int attempts, long lap) =>
        (long)state | (long)owner << 4 | (long)attempts << 16 | lap << 24;

    public static SlotState State(long word) => (SlotState)(word & 0xF);

    public static int Owner(long word) => (int)(word >> 4) & 0xFFF;

    public static int Attempts(long word) => (int)(word >> 16) & 0xFF;

    public static long Lap(long word) => (long)((ulong)word >> 24);

    /// <summary>The same slot on the same lap, moved by another participant.</summary>
    public static long Move(long word, SlotState state, int owner) => (word & ~0xFFFFL) | (long)state | (long)owner << 4;

    /// <summary>The slot on its next lap: its owner now owes it a cell.</summary>
    public static long NextLap(long word, SlotState state, int owner, int attempts) =>
        Make(state, owner, Math.Min(attempts, MaxAttempts), (Lap(word) + 1) & 0xFF_FFFF_FFFF);
}
