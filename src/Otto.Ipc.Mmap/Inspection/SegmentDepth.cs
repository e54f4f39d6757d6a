namespace Otto.Ipc.Mmap.Inspection;

// What a segment holds, by its shape. The totals since it was made are there for rates: two looks, one subtraction.

/// <summary>What a segment holds.</summary>
public abstract record SegmentDepth
{
    private protected SegmentDepth()
    {
    }

    /// <summary>What came in since the segment was made, in <see cref="Unit"/>.</summary>
    public abstract long Entered { get; }

    /// <summary>What went again; <see langword="null"/> where that leaves no trace in the segment.</summary>
    public abstract long? Left { get; }

    /// <summary>What is counted.</summary>
    public abstract string Unit { get; }

    /// <summary>What would be lost with the segment, in words; <see langword="null"/> where nothing would.</summary>
    public abstract string? Undone { get; }
}

/// <summary>What a stream holds.</summary>
/// <param name="Lanes">The lanes that ever had a sender.</param>
/// <param name="MaxLanes">How many senders it can have at once.</param>
/// <param name="LaneBytes">Bytes of a lane's ring.</param>
/// <param name="HasReceiver">Whether a live process receives.</param>
public sealed record StreamDepth(IReadOnlyList<StreamLaneDepth> Lanes, int MaxLanes, long LaneBytes, bool HasReceiver) : SegmentDepth
{
    /// <summary>Bytes that were sent and not read, with their frames.</summary>
    public long UnreadBytes => Lanes.Sum(lane => lane.UnreadBytes);

    /// <inheritdoc/>
    public override long Entered => Lanes.Sum(lane => lane.Tail);

    /// <inheritdoc/>
    public override long? Left => Lanes.Sum(lane => lane.Tail - lane.UnreadBytes);

    /// <inheritdoc/>
    public override string Unit => "bytes";

    /// <inheritdoc/>
    public override string? Undone => UnreadBytes > 0 ? $"it holds {UnreadBytes:N0} bytes that were sent and not read" : null;
}

/// <summary>What one lane of a stream holds.</summary>
/// <param name="Lane">Which lane.</param>
/// <param name="Tail">Bytes sent since the stream was made, with their frames.</param>
/// <param name="UnreadBytes">Bytes of these that were not read.</param>
/// <param name="HasSender">Whether a live process sends in it.</param>
/// <param name="Completed">Whether its last sender said that no more will come.</param>
public sealed record StreamLaneDepth(int Lane, long Tail, long UnreadBytes, bool HasSender, bool Completed);

/// <summary>What a work queue holds.</summary>
/// <param name="Ready">Messages that wait for a worker.</param>
/// <param name="Delayed">Messages that wait for their time.</param>
/// <param name="Leased">Messages that a worker holds.</param>
/// <param name="Dead">Messages given up.</param>
/// <param name="Cancelled">Messages taken back whose room is not free yet.</param>
/// <param name="Free">Messages that could still be sent.</param>
/// <param name="Slots">How many messages it holds in all.</param>
/// <param name="SlotBytes">The largest message that lies in a slot.</param>
/// <param name="OldestReadyAge">How long the oldest ready message has been ready for; zero where there is none.</param>
/// <param name="OldestLeaseAge">How long the oldest lease has been held; zero where there is none.</param>
/// <param name="Claims">Slots claimed since the queue was made: messages, and slots reserved in vain.</param>
/// <param name="Releases">Slots released again: messages done, dropped or cancelled, and slots reserved in vain.</param>
public sealed record QueueDepth(
    int Ready, int Delayed, int Leased, int Dead, int Cancelled, int Free, int Slots, int SlotBytes,
    TimeSpan OldestReadyAge, TimeSpan OldestLeaseAge, long Claims, long Releases) : SegmentDepth
{
    /// <inheritdoc/>
    public override long Entered => Claims;

    /// <inheritdoc/>
    public override long? Left => Releases;

    /// <inheritdoc/>
    public override string Unit => "messages";

    /// <inheritdoc/>
    public override string? Undone => Ready + Delayed + Leased + Dead > 0
        ? $"it holds messages that nobody has done: {Ready:N0} ready, {Delayed:N0} delayed, {Leased:N0} begun, {Dead:N0} dead letters"
        : null;
}

/// <summary>What a topic holds. News is kept until it is written over, so nothing is undone in it.</summary>
/// <param name="Published">Messages published since the topic was made.</param>
/// <param name="KeptBytes">Bytes that a late subscriber can still read, with their frames.</param>
/// <param name="LanesInUse">Lanes that ever had a publisher.</param>
/// <param name="MaxLanes">How many publishers it can have at once.</param>
/// <param name="LaneBytes">Bytes of a lane's ring.</param>
/// <param name="Policy">What it does with a subscriber that falls behind.</param>
public sealed record TopicDepth(long Published, long KeptBytes, int LanesInUse, int MaxLanes, long LaneBytes, TopicPolicy Policy) : SegmentDepth
{
    /// <inheritdoc/>
    public override long Entered => Published;

    /// <inheritdoc/>
    public override long? Left => null;

    /// <inheritdoc/>
    public override string Unit => "messages";

    /// <inheritdoc/>
    public override string? Undone => null;
}

/// <summary>What a channel lends.</summary>
/// <param name="Channel">The file name of the channel that lends.</param>
/// <param name="Lent">Blocks that are borrowed, sent or held.</param>
/// <param name="Free">Blocks that are not.</param>
/// <param name="Files">Files that blocks have.</param>
/// <param name="Freed">Blocks freed since the pool was made.</param>
public sealed record PoolDepth(string Channel, int Lent, int Free, int Files, long Freed) : SegmentDepth
{
    /// <inheritdoc/>
    public override long Entered => Freed + Lent;

    /// <inheritdoc/>
    public override long? Left => Freed;

    /// <inheritdoc/>
    public override string Unit => "loans";

    /// <inheritdoc/>
    public override string? Undone => Lent > 0 ? $"it lends {Lent:N0} blocks" : null;
}

/// <summary>What a region holds.</summary>
/// <param name="ValueBytes">Bytes of its JSON.</param>
/// <param name="LimitBytes">The most bytes that it can hold.</param>
/// <param name="Writes">How often our writers wrote it; zero where only foreign programs did.</param>
/// <param name="RunPid">The process of its run, as its name says.</param>
public sealed record RegionDepth(long ValueBytes, long LimitBytes, long Writes, int RunPid) : SegmentDepth
{
    /// <inheritdoc/>
    public override long Entered => Writes;

    /// <inheritdoc/>
    public override long? Left => null;

    /// <inheritdoc/>
    public override string Unit => "writes";

    /// <inheritdoc/>
    public override string? Undone => ValueBytes > 2 ? $"it holds {ValueBytes:N0} bytes" : null;
}
