using Otto.Ipc.Mmap;
using Otto.Ipc.Mmap.Doorbells;

namespace Otto.Ipc.Peer;

internal static class IdleVerbs
{
    /// <summary>NAME: waits in every way there is, for nothing, until it is told to finish.</summary>
    public static int Run(string[] arguments)
    {
        var transport = new MmapTransport();
        string name = arguments[0];
        using WorkQueue queue = transport.OpenQueue(name), blocked = transport.OpenQueue(name);
        using MessageReceiver receiver = transport.OpenReceiver(name);
        using MessageSubscriber subscriber = transport.OpenSubscriber(name);
        queue.SetConsumer(true);
        // A delayed message, long before its time, is no reason to wake either.
        queue.TrySend("later"u8, TimeSpan.FromDays(1), out _);
        Task[] waiting =
        [
            queue.WaitToLeaseAsync(PeerConsole.Finish).AsTask(),
            receiver.WaitToReceiveAsync(PeerConsole.Finish).AsTask(),
            subscriber.WaitToReceiveAsync(PeerConsole.Finish).AsTask(),
            Task.Factory.StartNew(() => PeerConsole.RunUntilFinish(stop => blocked.WaitToLease(Timeout.InfiniteTimeSpan, stop)),
                TaskCreationOptions.LongRunning),
        ];
        PeerConsole.WriteLine("ready");
        PeerConsole.WaitForFinish();
        foreach (Task wait in waiting)
        {
            try
            {
                wait.GetAwaiter().GetResult();
            }
            catch (OperationCanceledException)
            {
            }
        }

        return 0;
    }
}

/// <summary>Says how often a wait looks before it sleeps, with the cores that this process may use.</summary>
internal sealed class SpinVerb : IReadiness
{
    private long _looks;

    public bool Poll() => ++_looks < 0;

    public static int Run()
    {
        var readiness = new SpinVerb();
        _ = new SpinBudget(TimeSpan.FromMilliseconds(1)).Spin(readiness);
        Console.WriteLine($"{readiness._looks} looks");
        return 0;
    }
}
