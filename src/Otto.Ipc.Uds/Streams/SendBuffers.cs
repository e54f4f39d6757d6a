namespace Otto.Ipc.Uds.Streams;

// The lanes of this process, by the stream that they belong to: a sender takes over a lane that another left, and a receiver that opens here is met
// by all of them before it looks.

internal static class SendBuffers
{
    private static readonly Lock Gate = new();
    private static readonly Dictionary<string, List<SendBuffer>> Lanes = [];

    /// <summary>Finds a lane for a sender: one that was left before it was completed, else one that was left, else a new one.</summary>
    /// <exception cref="IOException">This process has all the senders it may have.</exception>
    public static SendBuffer Take(string path, UdsStreamOptions options, bool allowOther)
    {
        lock (Gate)
        {
            if (!Lanes.TryGetValue(path, out List<SendBuffer>? lanes)) Lanes.Add(path, lanes = []);
            SendBuffer? left = lanes.Find(l => !l.IsHeld && !l.IsCompleted) ?? lanes.Find(l => !l.IsHeld);
            if (left is null && lanes.Count >= options.MaxSenders) throw new IOException($"{path} has {lanes.Count:N0} senders of this process, the most it may have; raise MaxSenders");
            SendBuffer lane = left ?? new SendBuffer(path);
            try
            {
                lane.Hold(options.Capacity, allowOther);
            }
            catch
            {
                lane.Renounce(isNew: left is null);
                throw;
            }

            if (left is null) lanes.Add(lane);
            return lane;
        }
    }

    /// <summary>A receiver of this process listens now.</summary>
    public static void Meet(string path)
    {
        SendBuffer[] lanes;
        lock (Gate) lanes = Lanes.TryGetValue(path, out List<SendBuffer>? there) ? [.. there] : [];
        foreach (SendBuffer lane in lanes) lane.Meet();
    }

    /// <summary>Forgets a lane that nobody has and whose messages were all read.</summary>
    public static void RemoveIfFinished(SendBuffer lane)
    {
        if (!lane.IsFinished) return;
        lock (Gate)
        {
            // Nobody takes it while this is held.
            if (!lane.IsFinished || !Lanes.TryGetValue(lane.Path, out List<SendBuffer>? lanes) || !lanes.Remove(lane)) return;
            if (lanes.Count == 0) Lanes.Remove(lane.Path);
            // Before another sender of this process can come: the receiver tells a successor by that.
            lane.Close();
        }
    }
}
