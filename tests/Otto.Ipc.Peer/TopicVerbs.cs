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
        Talk.Say("ready");
        for (int i = 0; i < count || !Talk.ToldToFinish; i++)
        {
            byte[] message = Payload.Make(me, i, Payload.HeaderBytes + i * 7 % 300);
            Talk.Say($"intent {i}");
            while (!publisher.TryPublish(message)) publisher.WaitToPublish(message.Length, Timeout.InfiniteTimeSpan);
            Talk.Say($"sent {i}");
            if (Talk.ToldToFinish) break;
            if (i >= 20) Thread.Sleep(1); // a trickle, until the test has seen enough
        }

        Talk.Say("finished");
        return 0;
    }

    /// <summary>NAME POLICY: subscribes and listens until it is told to finish.</summary>
    public static int Hear(string[] arguments)
    {
        using MessageSubscriber subscriber = new MmapTransport().OpenSubscriber(arguments[0]);
        Talk.Say("ready");
        try
        {
            while (!Talk.ToldToFinish)
            {
                while (subscriber.TryReceive(out TopicFrame message))
                {
                    if (!Payload.TryRead(message.Bytes, out int publisher, out int sequence)) Talk.Say($"torn {publisher} {sequence}");
                }

                Talk.UntilTold(stop => subscriber.WaitToReceive(Timeout.InfiniteTimeSpan, stop));
            }
        }
        catch (SubscriberDisconnectedException)
        {
            Talk.Say("ejected");
        }

        Talk.Say("finished");
        return 0;
    }
}
