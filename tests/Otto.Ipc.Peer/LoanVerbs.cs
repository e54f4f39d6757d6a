using Otto.Ipc.Mmap;
using static System.Globalization.CultureInfo;

namespace Otto.Ipc.Peer;

/// <summary>Blocks of 5,000 bytes, each filled with its number, through streams and topics.</summary>
internal static class LoanVerbs
{
    private const int Bytes = 5_000;

    /// <summary>NAME COUNT: publishes so many.</summary>
    public static int Publish(string[] arguments)
    {
        using MessagePublisher publisher = new MmapTransport().OpenPublisher(arguments[0]);
        return Each(arguments[1], i => publisher.TryLoan(Bytes, out Loan loan) && Filled(loan, i, l => publisher.TryPublish(l, Bytes)));
    }

    /// <summary>NAME COUNT: sends so many.</summary>
    public static int Send(string[] arguments)
    {
        using MessageSender sender = new MmapTransport().OpenSender(arguments[0]);
        return Each(arguments[1], i => sender.TryLoan(Bytes, out Loan loan) && Filled(loan, i, l => sender.TrySend(l, Bytes)));
    }

    /// <summary>NAME: hears until told to finish.</summary>
    public static int Hear(string[] arguments)
    {
        using MessageSubscriber subscriber = new MmapTransport().OpenSubscriber(arguments[0]);
        PeerConsole.WriteLine("ready");
        while (!PeerConsole.IsFinishRequested)
        {
            if (subscriber.TryReceive(out TopicFrame message)) PeerConsole.WriteLine($"got {message.Bytes.Length} {message.Bytes[0]}");
            else PeerConsole.RunUntilFinish(stop => subscriber.WaitToReceive(TimeSpan.FromSeconds(1), stop));
        }

        return 0;
    }

    /// <summary>NAME: receives until told to finish.</summary>
    public static int Receive(string[] arguments)
    {
        using MessageReceiver receiver = new MmapTransport().OpenReceiver(arguments[0]);
        PeerConsole.WriteLine("ready");
        while (!PeerConsole.IsFinishRequested)
        {
            if (receiver.TryReceive(out ReadLease lease))
            {
                PeerConsole.WriteLine($"got {lease.Bytes.Length} {lease.Bytes[0]}");
                lease.Dispose();
            }
            else
            {
                PeerConsole.RunUntilFinish(stop => receiver.WaitToReceive(TimeSpan.FromSeconds(1), stop));
            }
        }

        return 0;
    }

    private static int Each(string count, Func<int, bool> trySend)
    {
        PeerConsole.WriteLine("ready");
        for (int i = 0; i < int.Parse(count, InvariantCulture); i++)
        {
            PeerConsole.WriteLine($"intent {i}");
            while (!trySend(i)) Thread.Sleep(1);
            PeerConsole.WriteLine($"sent {i}");
        }

        PeerConsole.WriteLine("finished");
        return 0;
    }

    private static bool Filled(Loan loan, int number, Func<Loan, bool> send)
    {
        loan.Span.Fill((byte)number);
        if (send(loan)) return true;
        loan.Dispose();
        return false;
    }
}
