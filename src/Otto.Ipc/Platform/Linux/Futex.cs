using System.Runtime.InteropServices;

namespace Otto.Ipc.Platform.Linux;

// The kernel's side of a doorbell: sleep while a word in shared memory holds a value, wake who sleeps on it. Never the PRIVATE
// variants: the word is shared between processes.

internal static unsafe class Futex
{
    public const int MaxWords = 128; // FUTEX_WAITV_MAX

    private const int WaitOperation = 0, WakeOperation = 1;
    private const uint Size32 = 2; // FUTEX2_SIZE_U32

    /// <summary>Whether the kernel can wait on many words at once (Linux 5.16).</summary>
    public static bool HasWaitVector { get; } = ProbeWaitVector();

    /// <summary>
    /// Sleeps while the word holds <paramref name="expected"/>. May return for any reason. The caller checks the word
    /// again.
    /// </summary>
    public static void Wait(nint word, int expected, TimeSpan? timeout)
    {
        TimeSpec relative = default;
        if (timeout is { } t)
        {
            if (t <= TimeSpan.Zero) return;
            relative = new TimeSpec(t);
        }

        Libc.Syscall(Abi.FutexCall, word, WaitOperation, expected, timeout is null ? 0 : (nint)(&relative), 0, 0);
    }

    /// <summary>Wakes every process that sleeps on the word.</summary>
    public static void WakeAll(nint word) => Libc.Syscall(Abi.FutexCall, word, WakeOperation, int.MaxValue, 0, 0, 0);

    /// <summary>
    /// Sleeps while every word holds its value. May return for any reason. The caller checks the words again.
    /// </summary>
    public static void WaitAny(ReadOnlySpan<WaitEntry> entries)
    {
        fixed (WaitEntry* first = entries) Libc.Syscall(Abi.FutexWaitVector, (nint)first, entries.Length, 0, 0, 0, 0);
    }

    private static bool ProbeWaitVector()
    {
        if (!Libc.Supported) return false;
        int word = 1;
        var entry = new WaitEntry((nint)(&word), 0); // differs from the word: EAGAIN at once where the call exists
        return Libc.Syscall(Abi.FutexWaitVector, (nint)(&entry), 1, 0, 0, 0, 0) == -1 && Marshal.GetLastPInvokeError() == Libc.EAGAIN;
    }

    /// <summary>struct futex_waitv.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal readonly struct WaitEntry(nint address, int expected)
    {
        public readonly ulong Value = (uint)expected;
        public readonly ulong Address = (ulong)address;
        public readonly uint Flags = Size32;
        private readonly uint _reserved;
    }

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct TimeSpec(TimeSpan time)
    {
        private readonly long _seconds = (long)time.TotalSeconds;
        private readonly long _nanoseconds = time.Ticks % TimeSpan.TicksPerSecond * 100;
    }
}
