using System.Text;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Fifo.Tests;

// Short ways of saying what most tests do.

internal static class ReceiverExtensions
{
    /// <summary>Bytes as text, one character each.</summary>
    public static byte[] ToBytes(this string text) => Encoding.Latin1.GetBytes(text);

    /// <summary>The next message, which must come.</summary>
    public static byte[] NextBytes(this MessageReceiver receiver)
    {
        if (!receiver.WaitToReceive(Watchdog.Limit)) Assert.Fail("a message was expected, and none came");
        if (!receiver.TryReceive(out ReadLease lease)) Assert.Fail("a message was announced, and is not there");
        byte[] bytes = lease.Bytes.ToArray();
        lease.Dispose();
        return bytes;
    }

    /// <summary>The next message as text.</summary>
    public static string Next(this MessageReceiver receiver) => Encoding.Latin1.GetString(receiver.NextBytes());

    /// <summary>All messages until the stream ends, as text.</summary>
    public static List<string> Drain(this MessageReceiver receiver)
    {
        List<string> all = [];
        while (receiver.WaitToReceive(Watchdog.Limit)) all.Add(receiver.Next());
        Assert.That(receiver.IsCompleted, Is.True, "the stream does not end");
        return all;
    }
}
