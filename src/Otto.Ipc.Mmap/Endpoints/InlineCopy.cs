using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Otto.Ipc.Mmap.Endpoints;

// Most messages are short, and a call of the general copy costs as much as all else that sending one does:
// two overlapping vectors are in place.

internal static class InlineCopy
{
    /// <summary>Copies a message to where all of it has room.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Copy(ReadOnlySpan<byte> message, ref byte to)
    {
        ref byte from = ref MemoryMarshal.GetReference(message);
        int bytes = message.Length;
        if ((uint)(bytes - 32) <= 32)
        {
            var last = Vector256.LoadUnsafe(ref from, (nuint)bytes - 32);
            Vector256.LoadUnsafe(ref from).StoreUnsafe(ref to);
            last.StoreUnsafe(ref to, (nuint)bytes - 32);
        }
        else
        {
            message.CopyTo(MemoryMarshal.CreateSpan(ref to, bytes));
        }
    }
}
