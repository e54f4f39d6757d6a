using System.Diagnostics;

namespace Otto.Ipc.Benchmarks.Matrix.Subjects;

// Our streams as the harness sees them. Each payload is written whole into the transport and copied whole out of it.

internal sealed class SenderOutlet(MessageSender sender) : Outlet
{
    public override long? MaxMessageBytes => sender.MaxMessageBytes;

    protected override void Send(byte[] buffer, int bytes)
    {
        if (sender.TrySend(buffer.AsSpan(0, bytes))) return;
        long start = Stopwatch.GetTimestamp();
        do
        {
            // Room that is there and cannot be had is no room either, however often it is said to be there.
            if (!sender.WaitToSend(bytes, Patience) || Stopwatch.GetElapsedTime(start) > Patience) throw NoRoom(bytes);
        }
        while (!sender.TrySend(buffer.AsSpan(0, bytes)));
    }

    public override void Complete() => sender.Complete();

    public override void Dispose() => sender.Dispose();
}

internal sealed class ReceiverInlet(MessageReceiver receiver) : Inlet
{
    private byte[] _copy = new byte[64];

    protected override bool TryReceive(out ReadOnlySpan<byte> message)
    {
        if (!receiver.TryReceive(out ReadLease lease))
        {
            message = default;
            return false;
        }

        int length = lease.Bytes.Length;
        if (_copy.Length < length) _copy = new byte[length];
        lease.Bytes.CopyTo(_copy);
        lease.Dispose();
        message = _copy.AsSpan(0, length);
        return true;
    }

    protected override void Sleep(TimeSpan most)
    {
        receiver.WaitToReceive(most);
        if (receiver.IsCompleted) throw new EndOfStreamException("the sender has ended the stream");
    }

    public override void Dispose() => receiver.Dispose();
}
