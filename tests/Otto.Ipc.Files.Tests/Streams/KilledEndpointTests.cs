using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Files.Tests.Streams;

// Senders and receivers are real processes and meet a real SIGKILL; what a sender said it sent is received, once and in order.

[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class KilledEndpointTests
{
    private const string Name = "frames";
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void A_sender_killed_at_any_moment_leaves_what_it_sent_and_its_successor_continues()
    {
        using MessageReceiver receiver = OpenReceiver();
        var random = new Random(4);
        int next = 0;
        for (int round = 0; round < 8; round++)
        {
            using PeerProcess sender = _workspace.Start("stream-send", Name, next.ToString(CultureInfo.InvariantCulture), "100000");
            sender.WaitFor("sent");
            Spin(random.Next(3000));
            sender.Kill();
            int sent = Last(sender, "sent"), intended = Last(sender, "intent");
            while (receiver.TryReceive(out ReadLease lease))
            {
                Assert.That(Payload.TryRead(lease.Bytes, out _, out int sequence), Is.True, "a torn message");
                Assert.That(sequence, Is.EqualTo(next++));
                lease.Dispose();
            }

            Assert.That(next - 1, Is.InRange(sent, intended), "what was sent, and at most what was about to be");
        }
    }

    [Test]
    public void A_receiver_killed_at_any_moment_loses_nothing_to_its_successor()
    {
        using MessageSender sender = OpenSender();
        var got = new List<int>();
        var random = new Random(5);
        int sent = 0;
        for (int round = 0; round < 8; round++)
        {
            using PeerProcess receiver = _workspace.Start("stream-receive", Name);
            receiver.WaitFor("ready");
            for (int i = 0; i < 300; i++, sent++)
            {
                byte[] message = Payload.Make(1, sent, 20 + i % 100);
                while (!sender.TrySend(message)) Assert.That(sender.WaitToSend(message.Length, Watchdog.Limit), Is.True);
            }

            receiver.WaitFor("got");
            Spin(random.Next(3000));
            receiver.Kill();
            Assert.That(receiver.Lines.Where(line => line.StartsWith("torn", StringComparison.Ordinal)), Is.Empty);
            List<int> now = Numbers(receiver, "got");
            // At most the message in hand comes again.
            if (got.Count > 0 && now.Count > 0 && now[0] == got[^1]) now.RemoveAt(0);
            got.AddRange(now);
        }

        using MessageReceiver last = OpenReceiver();
        while (last.TryReceive(out ReadLease lease))
        {
            Payload.TryRead(lease.Bytes, out _, out int sequence);
            if (got.Count == 0 || got[^1] != sequence) got.Add(sequence);
            lease.Dispose();
        }

        // A message that was read, and whose receiver was killed before it could say so, is in nobody's list: one a round at most.
        Assert.That(got, Is.Ordered);
        Assert.That(got, Is.Unique);
        Assert.That(sent - got.Count, Is.InRange(0, 8));
    }

    [Test]
    public void An_unfinished_last_line_is_left_for_later_and_given_up_once_a_successor_writes_on()
    {
        using MessageReceiver receiver = OpenReceiver();
        using (MessageSender first = OpenSender()) first.TrySend("1"u8);
        string log = Directory.GetFiles(Lane(0), "*.jsonl").Single();
        File.AppendAllText(log, "{\"half\":");
        Assert.That(Receive(receiver), Is.EqualTo("1"));
        Assert.That(receiver.TryReceive(out _), Is.False);
        // It may be finished...
        File.AppendAllText(log, "2}\n{\"unfinished\":");
        Assert.That(Receive(receiver), Is.EqualTo("{\"half\":2}"));
        Assert.That(receiver.TryReceive(out _), Is.False);
        // ...or its sender has died, and the next one writes on.
        using MessageSender second = OpenSender();
        second.TrySend("3"u8);
        Assert.That(Receive(receiver), Is.EqualTo("3"));
        Assert.That(receiver.TryReceive(out _), Is.False);
        Assert.That(File.Exists(log), Is.False, "what was read is removed");
    }

    [Test]
    public void The_files_of_a_stream_stay_within_its_capacity_and_a_quarter()
    {
        using MessageSender sender = OpenSender();
        using MessageReceiver receiver = OpenReceiver();
        long most = 0;
        for (int i = 0; i < 5_000; i++)
        {
            while (!sender.TrySend(Payload.Make(1, i, 200)))
            {
                receiver.TryReceive(out ReadLease lease);
                lease.Dispose();
            }

            if (i % 50 == 0) most = Math.Max(most, Directory.GetFiles(Lane(0), "*.jsonl").Sum(path => new FileInfo(path).Length));
        }

        Assert.That(most, Is.InRange(Options.Capacity!.Value / 2, Options.Capacity!.Value * 5 / 4));
    }

    [Test]
    public void A_live_receiver_keeps_a_second_one_out_and_a_dead_one_does_not()
    {
        using (OpenReceiver()) Assert.That(OpenReceiver, Throws.TypeOf<IOException>().With.Message.Contains("has a receiver already"));
        using PeerProcess peer = _workspace.Start("stream-stay", Name);
        peer.WaitFor("ready");
        Assert.That(OpenReceiver, Throws.TypeOf<IOException>());
        peer.Kill();
        OpenReceiver().Dispose();
    }

    [Test]
    public void More_senders_than_the_stream_allows_are_refused_with_the_number()
    {
        MessageSender[] senders = [.. Enumerable.Range(0, 3).Select(_ => OpenSender())];
        Assert.That(OpenSender, Throws.TypeOf<IOException>().With.Message.Contains('3'));
        senders[1].Dispose();
        OpenSender().Dispose();
        foreach (MessageSender sender in senders) sender.Dispose();
    }

    private static FilesStreamOptions Options => new() { Capacity = 64 * 1024, MaxMessageBytes = 8000, MaxSenders = 3 };

    private MessageSender OpenSender() => _workspace.Transport.OpenSender(Name, Options);

    private MessageReceiver OpenReceiver() => _workspace.Transport.OpenReceiver(Name, Options);

    private string Lane(int number) =>
        Path.Combine(_workspace.Directory, "streams", Name, "lanes", number.ToString(CultureInfo.InvariantCulture));

    private static string Receive(MessageReceiver receiver)
    {
        Assert.That(receiver.TryReceive(out ReadLease lease), Is.True);
        string text = System.Text.Encoding.UTF8.GetString(lease.Bytes);
        lease.Dispose();
        return text;
    }

    // The moment is the point here, so it is drawn by chance, not waited for.
    private static void Spin(int microseconds)
    {
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < TimeSpan.FromMicroseconds(microseconds)) Thread.SpinWait(10);
    }

    private static int Last(PeerProcess peer, string verb) => Numbers(peer, verb)[^1];

    private static List<int> Numbers(PeerProcess peer, string verb) =>
        [.. peer.Lines.Where(line => line.StartsWith(verb + " ", StringComparison.Ordinal)).Select(
            line => int.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture))];
}
