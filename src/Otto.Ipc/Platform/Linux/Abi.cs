using System.Runtime.InteropServices;

namespace Otto.Ipc.Platform.Linux;

// What differs between the architectures of Linux that are served: x64 and arm64. Every other number is the same on both.

internal static class Abi
{
    private static readonly bool s_arm64 = RuntimeInformation.ProcessArchitecture == Architecture.Arm64;

    // System calls without a function of libc.
    public static readonly long FutexCall = s_arm64 ? 98 : 202;
    public static readonly long Membarrier = s_arm64 ? 283 : 324;
    public static readonly long GetThreadId = s_arm64 ? 178 : 186;
    public static readonly long SignalThread = s_arm64 ? 131 : 234;
    public const long FutexWaitVector = 449;

    // Flags of open.
    public static readonly int NoFollow = s_arm64 ? 0x8000 : 0x20000;
    public static readonly int OpenDirectory = s_arm64 ? 0x4000 : 0x10000;

    /// <summary>Bytes of struct epoll_event, which is packed on x64 alone; its tag is the last eight.</summary>
    public static readonly int EpollEventBytes = s_arm64 ? 16 : 12;
}
