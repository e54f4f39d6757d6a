namespace Otto.Ipc.Uds.Streams;

// The buffers of this process, by the stream that they belong to: a sender takes over a buffer that another left, and a receiver that opens
// here is met by all of them before it looks.

internal static class SendBuffers
{
    private static readonly Lock Gate = new();
    private static readonly Dictionary<string, List<SendBuffer>> Buffers = [];

    /// <summary>Finds a buffer for a sender: one that was left before it was completed,
    /// else one that was left, else a new one.</summary>
    /// <exception cref="IOException">This process has all the senders it may have.</exception>
    public static SendBuffer Take(string path, UdsStreamOptions options, bool allowOther)
    {
        lock (Gate)
        {
            if (!Buffers.TryGetValue(path, out List<SendBuffer>? buffers)) Buffers.Add(path, buffers = []);
            SendBuffer? left = buffers.Find(l => !l.IsHeld && !l.IsCompleted) ?? buffers.Find(l => !l.IsHeld);
            if (left is null && buffers.Count >= options.MaxSenders)
                throw new IOException($"{path} has {buffers.Count:N0} senders of this process, the most it may have; raise MaxSenders");
            SendBuffer buffer = left ?? new SendBuffer(path);
            try
            {
                buffer.Hold(options.Capacity, allowOther);
            }
            catch
            {
                buffer.CancelHold(isNew: left is null);
                throw;
            }

            if (left is null) buffers.Add(buffer);
            return buffer;
        }
    }

    /// <summary>A receiver of this process listens now.</summary>
    public static void ReceiverOpened(string path)
    {
        SendBuffer[] buffers;
        lock (Gate) buffers = Buffers.TryGetValue(path, out List<SendBuffer>? there) ? [.. there] : [];
        foreach (SendBuffer buffer in buffers) buffer.ConnectNow();
    }

    /// <summary>Removes a buffer that no sender has and whose messages were all read.</summary>
    public static void RemoveIfFinished(SendBuffer buffer)
    {
        if (!buffer.IsFinished) return;
        lock (Gate)
        {
            // Nobody takes it while this is held.
            if (!buffer.IsFinished || !Buffers.TryGetValue(buffer.Path, out List<SendBuffer>? buffers) || !buffers.Remove(buffer)) return;
            if (buffers.Count == 0) Buffers.Remove(buffer.Path);
            // Before another sender of this process can come: the receiver tells a successor by that.
            buffer.Close();
        }
    }
}
