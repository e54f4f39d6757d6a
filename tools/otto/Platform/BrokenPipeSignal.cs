using System.Runtime.InteropServices;

namespace Otto.Tools.Platform;

// .NET ignores SIGPIPE, and a child inherits what is ignored: 'yes' would then complain of a broken pipe instead of ending by it. While
// this object lives the signal has its default meaning, here and in children that are started; nothing may write to a pipe meanwhile.

internal sealed partial class BrokenPipeSignal : IDisposable
{
    private const int SigPipe = 13;

    /// <summary>The exit code of a program that the signal ended, as a shell reports it.</summary>
    public const int ExitCode = 128 + SigPipe;

    private readonly nint _before = SetHandler(SigPipe, 0);

    public void Dispose() => SetHandler(SigPipe, _before);

    [LibraryImport("libc", EntryPoint = "signal")]
    private static partial nint SetHandler(int signal, nint handler);
}
