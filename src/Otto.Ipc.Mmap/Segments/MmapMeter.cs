using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;

namespace Otto.Ipc.Mmap.Segments;

// What is counted for whoever listens; docs/telemetry.md lists names and units. A message of a queue costs one look at a flag while nobody
// listens, one of a stream or topic an addition: the maintenance thread reports their sums once per second.

internal static class MmapMeter
{
    private static readonly Meter Meter = new("Otto.Ipc.Mmap");

    public static readonly Counter<long> Messages =
        Meter.CreateCounter<long>("otto.ipc.messages", "{message}", "Messages sent and received");

    public static readonly Counter<long> Bytes = Meter.CreateCounter<long>("otto.ipc.bytes", "By", "Bytes of messages sent and received");

    public static readonly Counter<long> Full = Meter.CreateCounter<long>("otto.ipc.full", "{event}", "Sends that found no room");

    public static readonly Counter<long> Wakes =
        Meter.CreateCounter<long>("otto.ipc.wakes", "{wake}", "System calls that wake a waiting process");

    public static readonly Counter<long> Reclaims =
        Meter.CreateCounter<long>("otto.ipc.reclaims", "{participant}", "Dead participants that were cleaned up");
}

/// <summary>Counts for one channel.</summary>
internal sealed class ChannelMeter
{
    private readonly KeyValuePair<string, object?> _shape;
    private readonly KeyValuePair<string, object?> _channel;
    private static readonly KeyValuePair<string, object?> Out = new("otto.ipc.direction", "sent"),
        In = new("otto.ipc.direction", "received");

    /// <param name="path">The segment's file, whose name says channel and shape.</param>
    public ChannelMeter(string path)
    {
        _shape = new("otto.ipc.shape", Path.GetExtension(path).TrimStart('.'));
        _channel = new("otto.ipc.channel", Path.GetFileNameWithoutExtension(path));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Sent(int bytes)
    {
        if (MmapMeter.Messages.Enabled || MmapMeter.Bytes.Enabled) Count(bytes, Out);
    }

    /// <summary>What passed since the last time.</summary>
    public void Moved(long messages, long bytes, bool received)
    {
        if (messages == 0) return;
        MmapMeter.Messages.Add(messages, _channel, _shape, received ? In : Out);
        MmapMeter.Bytes.Add(bytes, _channel, _shape, received ? In : Out);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Received(int bytes)
    {
        if (MmapMeter.Messages.Enabled || MmapMeter.Bytes.Enabled) Count(bytes, In);
    }

    public void Full()
    {
        if (MmapMeter.Full.Enabled) MmapMeter.Full.Add(1, _channel, _shape);
    }

    public void Reclaimed(int participants)
    {
        if (participants > 0 && MmapMeter.Reclaims.Enabled) MmapMeter.Reclaims.Add(participants, _channel, _shape);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Count(int bytes, KeyValuePair<string, object?> direction)
    {
        MmapMeter.Messages.Add(1, _channel, _shape, direction);
        MmapMeter.Bytes.Add(bytes, _channel, _shape, direction);
    }
}
