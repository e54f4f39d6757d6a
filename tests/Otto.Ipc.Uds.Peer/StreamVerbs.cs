using System.Globalization;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Uds.Peer;

// The other end of a stream, in a process that a test kills.

internal static class StreamVerbs
{
    /// <summary>PATH NAME COUNT: sends numbered messages, says "sent", and stays until standard input ends.</summary>
    public static int Send(string[] arguments)
    {
        var transport = new UdsTransport(new UdsTransportOptions { SocketPath = arguments[0] });
        using MessageSender sender = transport.OpenSender(arguments[1]);
        Console.Out.WriteLine("ready");
        int count = int.Parse(arguments[2], CultureInfo.InvariantCulture);
        for (int i = 0; i < count; i++) sender.SendAsync(Payload.Make(1, i, 50 + i % 100)).AsTask().Wait();
        Console.Out.WriteLine("sent");
        while (Console.In.Read() >= 0)
        {
        }

        return 0;
    }

    /// <summary>PATH NAME: for each line of standard input tries to send a message,
    /// numbered by those that were sent, and says what came of it.</summary>
    public static int Try(string[] arguments)
    {
        var transport = new UdsTransport(new UdsTransportOptions { SocketPath = arguments[0] });
        using MessageSender sender = transport.OpenSender(arguments[1]);
        Console.Out.WriteLine("ready");
        int sent = 0;
        while (Console.In.ReadLine() is not null)
        {
            try
            {
                Console.Out.WriteLine(sender.TrySend(Payload.Make(1, sent, 50)) ? $"sent {sent++}" : "full");
            }
            catch (IOException e)
            {
                Console.Out.WriteLine($"failed: {e.Message}");
            }
        }

        return 0;
    }

    /// <summary>PATH NAME COUNT: reads so many messages, says which, and stays until standard input ends.</summary>
    public static int Receive(string[] arguments)
    {
        var transport = new UdsTransport(new UdsTransportOptions { SocketPath = arguments[0] });
        using MessageReceiver receiver = transport.OpenReceiver(arguments[1]);
        Console.Out.WriteLine("ready");
        int count = int.Parse(arguments[2], CultureInfo.InvariantCulture);
        for (int i = 0; i < count;)
        {
            if (!receiver.TryReceive(out ReadLease lease))
            {
                receiver.WaitToReceive(Timeout.InfiniteTimeSpan);
                continue;
            }

            Console.Out.WriteLine(Payload.TryRead(lease.Bytes, out _, out int sequence) ? $"got {sequence}" : "torn");
            lease.Dispose();
            i++;
        }

        while (Console.In.Read() >= 0)
        {
        }

        return 0;
    }
}
