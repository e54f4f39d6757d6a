using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Sockets;

namespace Otto.Ipc.Uds.Peer.Fuzz;

// Plays one input against a server, and checks what came back as far as the protocol says it.

internal static class FuzzClient
{
    private const int Patience = 30_000;

    /// <summary>Plays an input.</summary>
    /// <param name="path">The server's socket.</param>
    /// <param name="input">What to send.</param>
    /// <param name="stay">Takes a connection that is to stay open.</param>
    /// <returns>How many bytes were answered.</returns>
    public static int Play(string path, FuzzInput input, Action<Socket> stay)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = Patience };
        // Whoever does not read its answers is not read in the end, and may wait for ever.
        socket.SendTimeout = input.Ending == ConnectionEnding.Reads ? Patience : 1_000;
        bool stays = false;
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(path));
            // Answers are read beside the sending: some of these clients send more than a socket holds, and are answered by as much.
            Task<byte[]>? reading = input.Ending == ConnectionEnding.Reads
                ? Task.Factory.StartNew(() => ReadAll(socket), TaskCreationOptions.LongRunning) : null;
            bool sent = TrySend(socket, input);
            if (input.Ending == ConnectionEnding.Stays)
            {
                stay(socket);
                stays = true;
                return 0;
            }

            if (input.Ending == ConnectionEnding.ReadsALittle && sent) return ReadSome(socket);
            if (reading is null) return 0;
            if (sent) socket.Shutdown(SocketShutdown.Send);
            byte[] answers = reading.GetAwaiter().GetResult();
            Check(input, answers);
            return answers.Length;
        }
        finally
        {
            if (!stays) socket.Dispose();
        }
    }

    private static bool TrySend(Socket socket, FuzzInput input)
    {
        long start = Stopwatch.GetTimestamp();
        try
        {
            for (int at = 0; at < input.Bytes.Length;)
                at += socket.Send(input.Bytes, at, Math.Min(input.Piece, input.Bytes.Length - at), SocketFlags.None);
            return true;
        }
        catch (SocketException) when (input.Ending != ConnectionEnding.Reads
            || (input is { Lines: < 0, Frames: < 0 } && Stopwatch.GetElapsedTime(start).TotalMilliseconds < Patience / 2))
        {
            // The server may close on what can be understood no further. (The runtime calls that a time-out where a part was sent before.)
            return false;
        }
    }

    private static byte[] ReadAll(Socket socket)
    {
        var all = new MemoryStream();
        byte[] buffer = new byte[16 * 1024];
        try
        {
            for (int read; (read = socket.Receive(buffer)) > 0;) all.Write(buffer, 0, read);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
        }

        return all.ToArray();
    }

    private static int ReadSome(Socket socket)
    {
        socket.Blocking = false;
        try
        {
            return socket.Receive(new byte[100]);
        }
        catch (SocketException)
        {
            return 0;
        }
    }

    private static void Check(FuzzInput input, byte[] answers)
    {
        if (input.Lines >= 0)
        {
            int lines = answers.AsSpan().Count((byte)'\n');
            if (lines != input.Lines || answers is not [.., (byte)'\n'])
                throw new InvalidDataException($"{input.Lines} lines were answered by {lines}");
        }

        if (input.Frames < 0) return;
        int frames = 0;
        for (int at = 0; at < answers.Length; frames++)
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(answers.AsSpan(at));
            at += 4 + length;
            if (length < 1 || at > answers.Length) throw new InvalidDataException($"answer {frames} is not a frame");
        }

        if (frames != input.Frames) throw new InvalidDataException($"{input.Frames} frames were answered by {frames}");
    }
}
