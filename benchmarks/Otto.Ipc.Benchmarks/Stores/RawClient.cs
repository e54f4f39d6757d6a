using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace Otto.Ipc.Benchmarks.Stores;

// A client that costs next to nothing, the same for every server: fixed requests, answers of a known length that are compared, not parsed.

/// <summary>What a server is asked, and what it must answer.</summary>
internal sealed record Conversation(byte[] Request, byte[] Answer);

/// <summary>Many connections, each with one batch of requests on its way, driven by one thread.</summary>
internal sealed unsafe partial class RawClient : IDisposable
{
    private readonly Socket[] _sockets;
    private readonly Conversation[] _batches;
    private readonly byte[] _received;

    public RawClient(string path, int connections, Func<int, Conversation> batch)
    {
        _sockets = new Socket[connections];
        _batches = new Conversation[connections];
        for (int i = 0; i < connections; i++)
        {
            _sockets[i] = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            _sockets[i].Connect(new UnixDomainSocketEndPoint(path));
            _batches[i] = batch(i);
        }

        _received = new byte[_batches.Max(b => b.Answer.Length)];
    }

    /// <summary>Has every connection ask its batch again and again.</summary>
    /// <param name="batches">How many batches in all.</param>
    /// <param name="samples">How long each batch took, in ticks.</param>
    /// <returns>How long all took.</returns>
    public TimeSpan Run(int batches, long[] samples)
    {
        long[] sent = new long[_sockets.Length];
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < _sockets.Length && i < batches; i++) Send(i, sent);
        for (int done = 0, next = _sockets.Length; done < batches; done++)
        {
            int i = done % _sockets.Length;
            Receive(i);
            samples[done] = Stopwatch.GetTimestamp() - sent[i];
            if (next++ < batches) Send(i, sent);
        }

        return Stopwatch.GetElapsedTime(start);
    }

    public void Dispose()
    {
        foreach (Socket socket in _sockets) socket.Dispose();
    }

    private void Send(int i, long[] sent)
    {
        sent[i] = Stopwatch.GetTimestamp();
        byte[] request = _batches[i].Request;
        for (int at = 0; at < request.Length;)
        {
            fixed (byte* bytes = &request[at]) at += Check(Write((int)_sockets[i].Handle, bytes, request.Length - at));
        }
    }

    private void Receive(int i)
    {
        byte[] expected = _batches[i].Answer;
        for (int at = 0; at < expected.Length;)
        {
            fixed (byte* bytes = &_received[at]) at += Check(Read((int)_sockets[i].Handle, bytes, expected.Length - at));
        }

        if (!_received.AsSpan(0, expected.Length).SequenceEqual(expected))
            throw new InvalidOperationException(
                $"another answer than expected: {Encoding.UTF8.GetString(_received.AsSpan(0, Math.Min(200, expected.Length)))}");
    }

    private static int Check(nint moved) =>
        moved > 0 ? (int)moved : throw new IOException($"the server closed, or: {Marshal.GetLastPInvokeErrorMessage()}");

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint Read(int descriptor, byte* bytes, nint length);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(int descriptor, byte* bytes, nint length);
}
