using System.IO.Pipes;
using System.Text;

namespace Otto.Tools.Queue;

// What a command writes, on to standard error as it comes, and only its end kept: a command may say as much as it likes. What it left in
// the background may hold the pipe for long: it is still passed on, and nobody waits for it.

// The pipe is disposed of at its end, which comes after this object has been used.
#pragma warning disable CA1001
internal sealed class PassedOutput
#pragma warning restore CA1001
{
    // A dead letter in shared memory keeps 208 bytes of reason, and it is the end that matters.
    private const int MostKept = 120;

    /// <summary>How long what a command has written is waited for once it has exited.</summary>
    public static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(250);

    private static readonly Stream s_errors = Console.OpenStandardError();

    private readonly AnonymousPipeServerStream _pipe = new(PipeDirection.In, HandleInheritability.None);
    private readonly Lock _gate = new();
    private byte[] _end = [];
    private long _received;
    private Task _passing = Task.CompletedTask;

    /// <summary>Gets the descriptor for the command, until <see cref="Start"/>.</summary>
    public int ChildDescriptor => (int)_pipe.ClientSafePipeHandle.DangerousGetHandle();

    /// <summary>Begins to pass on, once the command has been started.</summary>
    public void Start()
    {
        _pipe.DisposeLocalCopyOfClientHandle();
        _passing = PassAsync();
    }

    /// <summary>After the command has exited: waits a moment for what it wrote.</summary>
    /// <returns>The end of it.</returns>
    public async Task<string> EndOfCommandAsync()
    {
        // As long as something comes, but not for ever: what is in the background may write all the time.
        for (int tries = 8; tries > 0 && !_passing.IsCompleted; tries--)
        {
            long before = Interlocked.Read(ref _received);
            await Task.WhenAny(_passing, Task.Delay(Moment));
            if (Interlocked.Read(ref _received) == before) break;
        }

        lock (_gate)
        {
            string text = Encoding.UTF8.GetString(_end).Trim();
            if (_end is [.., not (byte)'\n']) Write("\n"u8);
            _end = [];
            return text[Math.Max(0, text.Length - MostKept)..];
        }
    }

    private async Task PassAsync()
    {
        byte[] piece = new byte[1 << 14];
        await using (_pipe)
        {
            try
            {
                for (int read; (read = await _pipe.ReadAsync(piece)) > 0;)
                {
                    lock (_gate)
                    {
                        Write(piece.AsSpan(0, read));
                        Interlocked.Add(ref _received, read);
                        _end = [.. _end, .. piece.AsSpan(0, read)];
                        if (_end.Length > MostKept * 4) _end = _end[^(MostKept * 4)..];
                    }
                }
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException)
            {
                // Nothing more can be read.
            }
        }
    }

    private static void Write(ReadOnlySpan<byte> bytes)
    {
        try
        {
            s_errors.Write(bytes);
        }
        catch (IOException)
        {
            // Nobody reads this program's standard error any more. The command must not block on it.
        }
    }
}
