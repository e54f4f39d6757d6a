using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Segments;

// Where a participant's entry is in a segment's file, and whether one is alive, for who has not mapped the segment.

internal static class ParticipantEntry
{
    public const long Active = 1, StateMask = 0xFF;

    public static long Offset(int participant) => SegmentLayout.ParticipantsOffset + (long)participant * SegmentLayout.ParticipantBytes;

    /// <summary>Whether a live process takes part in a segment that is not mapped.</summary>
    public static bool IsAnyAlive(SafeFileHandle file, in FixedHeader header, ParticipantLocks probe)
    {
        Span<byte> ctl = stackalloc byte[8];
        for (int i = 0; i < Math.Clamp(header.MaxParticipants, 0, SegmentLayout.MaxParticipantsLimit); i++)
        {
            if (RandomAccess.Read(file, ctl, Offset(i)) == ctl.Length
                && (BinaryPrimitives.ReadInt64LittleEndian(ctl) & StateMask) == Active && probe.IsAlive(i)) return true;
        }

        return false;
    }
}
