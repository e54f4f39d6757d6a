using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap;
using static System.Globalization.CultureInfo;

namespace Otto.Ipc.Peer;

// A small topic with room for three publishers and four subscribers. Each says what it did, so that a checker can add up heard and lost.

internal static class BoundedTopicVerbs
{
    private const int LargestMessage = 312;

    /// <summary>NAME PUBLISHER COUNT POLICY: publishes COUNT numbered messages and on until
    /// it is told to finish. Where COUNT is negative: exactly so many.</summary>
    public static int Publish(string[] arguments)
    {
        int me = int.Parse(arguments[1], InvariantCulture), count = int.Parse(arguments[2], InvariantCulture);
        bool exactly = count < 0;
        count = Math.Abs(count);
        using (MessagePublisher publisher = new MmapTransport().OpenPublisher(arguments[0], Options(arguments[3])))
        {
            PeerConsole.WriteLine("ready");
            for (int i = 0; i < count || (!exactly && !PeerConsole.IsFinishRequested); i++)
            {
                int bytes = Payload.HeaderBytes + i * 7 % 300;
                PeerConsole.WriteLine($"intent {i}");
                while (!(i % 2 == 0 ? publisher.TryPublish(Payload.Make(me, i, bytes)) : TryInPlace(publisher, me, i, bytes)))
                    publisher.WaitToPublish(LargestMessage, Timeout.InfiniteTimeSpan);
                PeerConsole.WriteLine($"sent {i}");
                if (i >= count) Thread.Sleep(1); // a trickle, until the test has seen enough
            }
        }

        PeerConsole.WriteLine("finished");
        return 0;
    }

    /// <summary>NAME POLICY: hears all that is there and comes until it is told to finish;
    /// ejected, it goes on with the oldest.</summary>
    public static int Subscribe(string[] arguments)
    {
        using (MessageSubscriber subscriber = new MmapTransport().OpenSubscriber(arguments[0], Options(arguments[1]), StartPosition.Oldest))
        {
            PeerConsole.WriteLine("ready");
            for (bool told = false; !told;)
            {
                told = PeerConsole.IsFinishRequested; // before the look: what was published before the order is heard
                try
                {
                    while (subscriber.TryReceive(out TopicFrame message))
                    {
                        bool whole = Payload.TryRead(message.Bytes, out int publisher, out int sequence);
                        PeerConsole.WriteLine($"{(whole ? "got" : "torn")} {publisher} {sequence} {message.Lost}");
                    }

                    // Without a time limit, so that a wake-up that gets lost is seen as a stall.
                    if (!told) PeerConsole.RunUntilFinish(stop => subscriber.WaitToReceive(Timeout.InfiniteTimeSpan, stop));
                }
                catch (SubscriberDisconnectedException)
                {
                    PeerConsole.WriteLine($"ejected {subscriber.ResumeFrom(StartPosition.Oldest)}");
                    told = false;
                }
            }

            PeerConsole.WriteLine($"lost {subscriber.Lost}");
        }

        PeerConsole.WriteLine("finished");
        return 0;
    }

    private static MmapTopicOptions Options(string policy) =>
        new() { Capacity = 4096, MaxPublishers = 3, MaxSubscribers = 4, Policy = Enum.Parse<SlowSubscriberPolicy>(policy) };

    private static bool TryInPlace(MessagePublisher publisher, int me, int sequence, int bytes)
    {
        if (!publisher.TryReserve(LargestMessage, out WriteSlot slot)) return false;
        Payload.Fill(slot.Bytes[..bytes], me, sequence);
        slot.Commit(bytes);
        return true;
    }
}
