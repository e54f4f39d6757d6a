using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap;
using static System.Globalization.CultureInfo;

namespace Otto.Ipc.Peer;

internal static class TopicVerbs
{
    /// <summary>NAME PUBLISHER COUNT POLICY: publishes COUNT numbered messages and on until
    /// it is told to finish.</summary>
    public static int Publish(string[] arguments)
    {
        int me = int.Parse(arguments[1], InvariantCulture), count = int.Parse(arguments[2], InvariantCulture);
        using MessagePublisher publisher = new MmapTransport().OpenPublisher(arguments[0]);
        PeerConsole.WriteLine("ready");
        for (int i = 0; i < count || !PeerConsole.IsFinishRequested; i++)
        {
            byte[] message = Payload.Make(me, i, Payload.HeaderBytes + i * 7 % 300);
            PeerConsole.WriteLine($"intent {i}");
            while (!publisher.TryPublish(message)) publisher.WaitToPublish(message.Length, Timeout.InfiniteTimeSpan);
            PeerConsole.WriteLine($"sent {i}");
            if (PeerConsole.IsFinishRequested) break;
            if (i >= 20) Thread.Sleep(1); // a trickle, until the test has seen enough
        }

        PeerConsole.WriteLine("finished");
        return 0;
    }

    /// <summary>NAME POLICY: subscribes and listens until it is told to finish.</summary>
    public static int Subscribe(string[] arguments)
    {
        using MessageSubscriber subscriber = new MmapTransport().OpenSubscriber(arguments[0]);
        PeerConsole.WriteLine("ready");
        try
        {
            while (!PeerConsole.IsFinishRequested)
            {
                while (subscriber.TryReceive(out TopicFrame message))
                {
                    if (!Payload.TryRead(message.Bytes, out int publisher, out int sequence))
                        PeerConsole.WriteLine($"torn {publisher} {sequence}");
                }

                PeerConsole.RunUntilFinish(stop => subscriber.WaitToReceive(Timeout.InfiniteTimeSpan, stop));
            }
        }
        catch (SubscriberDisconnectedException)
        {
            PeerConsole.WriteLine("ejected");
        }

        PeerConsole.WriteLine("finished");
        return 0;
    }
}
