using Otto.Ipc.Conformance;

namespace Otto.Ipc.Uds.Tests.Streams;

internal static class NextPayload
{
    /// <summary>Waits for the next message, which must be whole.</summary>
    /// <returns>Its number.</returns>
    public static int Sequence(MessageReceiver receiver)
    {
        while (true)
        {
            if (receiver.TryReceive(out ReadLease lease))
            {
                Assert.That(Payload.TryRead(lease.Bytes, out _, out int sequence), Is.True, "torn");
                lease.Dispose();
                return sequence;
            }

            Assert.That(receiver.WaitToReceive(Watchdog.Limit), Is.True, "the next message does not come");
        }
    }
}
