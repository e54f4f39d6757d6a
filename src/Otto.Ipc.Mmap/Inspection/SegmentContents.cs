namespace Otto.Ipc.Mmap.Inspection;

// What a segment holds, by its shape. The totals since it was made are there for rates: two looks, one subtraction.

/// <summary>What a segment holds.</summary>
public abstract record SegmentContents
{
    private protected SegmentContents()
    {
    }

    /// <summary>What came in since the segment was made, in <see cref="Unit"/>.</summary>
    public abstract long TotalIn { get; }

    /// <summary>What went out again; <see langword="null"/> if that leaves no trace in the segment.</summary>
    public abstract long? TotalOut { get; }

    /// <summary>What is counted.</summary>
    public abstract string Unit { get; }

    /// <summary>What would be lost with the segment, in words; <see langword="null"/> if nothing would.</summary>
    public abstract string? PendingWork { get; }
}

/// <summary>What a stream holds.</summary>
/// <param name="Lanes">The lanes that ever had a sender.</param>
/// <param name="MaxLanes">How many senders it can have at once.</param>
/// <param name="LaneBytes">Bytes of a lane's ring.</param>
/// <param name="HasReceiver">Whether a live process receives.</param>
public sealed record StreamContents(IReadOnlyList<StreamLaneContents> Lanes, int MaxLanes, long LaneBytes, bool HasReceiver)
    : SegmentContents
{
    /// <summary>Bytes that were sent and not read, with their frames.</summary>
    public long UnreadBytes => Lanes.Sum(lane => lane.UnreadBytes);

    /// <inheritdoc/>
    public override long TotalIn => Lanes.Sum(lane => lane.Tail);

    /// <inheritdoc/>
    public override long? TotalOut => Lanes.Sum(lane => lane.Tail - lane.UnreadBytes);

    /// <inheritdoc/>
    public override string Unit => "bytes";

    /// <inheritdoc/>
    public override string? PendingWork => UnreadBytes > 0 ? $"it holds {UnreadBytes:N0} bytes that were sent and not read" : null;
}

/// <summary>What one lane of a stream holds.</summary>
/// <param name="Lane">Which lane.</param>
/// <param name="Tail">Bytes sent since the stream was made, with their frames.</param>
/// <param name="UnreadBytes">Bytes of these that were not read.</param>
/// <param name="HasSender">Whether a live process sends in it.</param>
/// <param name="Completed">Whether its last sender said that no more will come.</param>
public sealed record StreamLaneContents(int Lane, long Tail, long UnreadBytes, bool HasSender, bool Completed);

/// <summary>What a work queue holds.</summary>
/// <param name="Ready">Messages that wait for a worker.</param>
/// <param name="Delayed">Messages that wait for their time.</param>
/// <param name="Leased">Messages that a worker holds.</param>
/// <param name="Dead">Messages given up.</param>
/// <param name="Cancelled">Messages taken back whose room is not free yet.</param>
/// <param name="Free">Messages that could still be sent.</param>
/// <param name="Slots">How many messages it holds in all.</param>
/// <param name="SlotBytes">The largest message that is stored in a slot.</param>
/// <param name="OldestReadyAge">How long the oldest ready message has been ready for; zero if there is none.</param>
/// <param name="OldestLeaseAge">How long the oldest lease has been held; zero if there is none.</param>
/// <param name="Claims">Slots claimed since the queue was made: messages, and slots reserved but not used.</param>
/// <param name="Releases">Slots released again: messages done, dropped or cancelled, and slots reserved but not
/// used.</param>
public sealed record QueueContents(
    int Ready, int Delayed, int Leased, int Dead, int Cancelled, int Free, int Slots, int SlotBytes,
    TimeSpan OldestReadyAge, TimeSpan OldestLeaseAge, long Claims, long Releases) : SegmentContents
{
    /// <summary>Results of messages that are done, and cancellations, which wait to be collected.</summary>
    public int Results { get; init; }

    /// <summary>Messages that workers passed over because they have no handler for them.</summary>
    public int PassedOver { get; init; }

    /// <inheritdoc/>
    public override long TotalIn => Claims;

    /// <inheritdoc/>
    public override long? TotalOut => Releases;

    /// <inheritdoc/>
    public override string Unit => "messages";

    /// <inheritdoc/>
    public override string? PendingWork => Ready + Delayed + Leased + Dead + Results + PassedOver > 0
        ? $"it holds pending messages: {Ready:N0} ready, {Delayed:N0} delayed, {Leased:N0} leased, {Dead:N0} dead letters"
          + (PassedOver > 0 ? $", {PassedOver:N0} passed over" : "") + (Results > 0 ? $", {Results:N0} results" : "")
        : null;
}

/// <summary>What a topic holds. Messages are kept until they are overwritten, so a topic has no pending work.</summary>
/// <param name="Published">Messages published since the topic was made.</param>
/// <param name="KeptBytes">Bytes that a late subscriber can still read, with their frames.</param>
/// <param name="LanesInUse">Lanes that ever had a publisher.</param>
/// <param name="MaxLanes">How many publishers it can have at once.</param>
/// <param name="LaneBytes">Bytes of a lane's ring.</param>
/// <param name="Policy">What it does with a subscriber that falls behind.</param>
public sealed record TopicContents(long Published, long KeptBytes, int LanesInUse, int MaxLanes, long LaneBytes,
    SlowSubscriberPolicy Policy) : SegmentContents
{
    /// <inheritdoc/>
    public override long TotalIn => Published;

    /// <inheritdoc/>
    public override long? TotalOut => null;

    /// <inheritdoc/>
    public override string Unit => "messages";

    /// <inheritdoc/>
    public override string? PendingWork => null;
}

/// <summary>What a channel lends.</summary>
/// <param name="Channel">The file name of the channel that lends.</param>
/// <param name="Lent">Blocks that are borrowed, sent or held.</param>
/// <param name="Free">Blocks that are not.</param>
/// <param name="Files">Files that blocks have.</param>
/// <param name="Freed">Blocks freed since the pool was made.</param>
public sealed record PoolContents(string Channel, int Lent, int Free, int Files, long Freed) : SegmentContents
{
    /// <inheritdoc/>
    public override long TotalIn => Freed + Lent;

    /// <inheritdoc/>
    public override long? TotalOut => Freed;

    /// <inheritdoc/>
    public override string Unit => "loans";

    /// <inheritdoc/>
    public override string? PendingWork => Lent > 0 ? $"it lends {Lent:N0} blocks" : null;
}

/// <summary>What a region holds.</summary>
/// <param name="ValueBytes">Bytes of its JSON.</param>
/// <param name="LimitBytes">The most bytes that it can hold.</param>
/// <param name="Writes">How often our writers wrote it; zero if only foreign programs did.</param>
/// <param name="RunPid">The process of its run, as its name says.</param>
public sealed record RegionContents(long ValueBytes, long LimitBytes, long Writes, int RunPid) : SegmentContents
{
    /// <inheritdoc/>
    public override long TotalIn => Writes;

    /// <inheritdoc/>
    public override long? TotalOut => null;

    /// <inheritdoc/>
    public override string Unit => "writes";

    /// <inheritdoc/>
    public override string? PendingWork => ValueBytes > 2 ? $"it holds {ValueBytes:N0} bytes" : null;
}
