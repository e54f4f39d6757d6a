using System.Runtime.InteropServices;

namespace Otto.Tools.Pipe;

// .NET ignores SIGPIPE, and a child inherits what is ignored: 'yes' would then complain of a broken pipe instead of ending by it. While
// this object lives the signal has its default meaning, here and in children that are started; nothing may write to a pipe meanwhile.

internal sealed partial class DefaultSigpipe : IDisposable
{
    private const int SigPipe = 13;
    private readonly nint _before = Signal(SigPipe, 0);

    public void Dispose() => Signal(SigPipe, _before);

    [LibraryImport("libc", EntryPoint = "signal")]
    private static partial nint Signal(int signal, nint handler);
}
