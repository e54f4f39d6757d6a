using System.Buffers.Binary;

namespace Otto.Ipc.Fifo.Relays;

// Where frames end in the bytes of one producer, so that another's may come in between. A frame larger than the buffer is passed on in
// parts, and nobody else's bytes come until it is whole: memory stays bounded, whatever the size of a frame.

internal struct RelayFrames(FifoFraming? framing)
{
    private long _left;

    /// <summary>Whether part of a frame was passed on.</summary>
    public bool IsInside { get; private set; }

    /// <summary>How many bytes, from the beginning, end with the end of a frame.</summary>
    public readonly int Whole(ReadOnlySpan<byte> bytes)
    {
        if (framing is null) return bytes.Length;
        if (framing == FifoFraming.Lines) return bytes.LastIndexOf((byte)'\n') + 1;
        long whole = _left;
        while (whole + FrameRules.LengthBytes <= bytes.Length)
        {
            long next = whole + FrameRules.LengthBytes + BinaryPrimitives.ReadUInt32LittleEndian(bytes[(int)whole..]);
            if (next > bytes.Length) break;
            whole = next;
        }

        return whole > bytes.Length ? 0 : (int)whole;
    }

    /// <summary>Continues after bytes that were passed on: whole frames, or part of one.</summary>
    public void Forward(ReadOnlySpan<byte> bytes)
    {
        if (framing == FifoFraming.Lines) IsInside = bytes[^1] != (byte)'\n';
        if (framing != FifoFraming.LengthPrefixed) return;
        long at = _left;
        while (at < bytes.Length) at += FrameRules.LengthBytes + BinaryPrimitives.ReadUInt32LittleEndian(bytes[(int)at..]);
        _left = at - bytes.Length;
        IsInside = _left > 0;
    }
}
