using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap.Inspection;

namespace Otto.Ipc.Mmap.Tests.Faults;

// Whoever lends through a stream or a topic, or reads what was lent, is killed at each step: what was published is read whole, and every
// block comes back, with no file left over. (Queues are the fault lab's.)

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class LoanFaultTests
{
    private const string Name = "lent";
    private const int Bytes = 5_000;

    private readonly TestWorkspace _workspace = new();
    private int _heard, _torn;
    private long _lost;

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void A_publisher_killed_there_leaves_whole_messages_and_no_block(
        [Values("loan.make.taken:2", "loan.make.file:2", "loan.borrowed:5", "loan.sending:5", "topic.publish.payload:5",
            "topic.publish.frame:5", "topic.publish.tail:5", "loan.committed:5", "loan.sent:5", "topic.publish.announce:2",
            "topic.publish.oldest:6", "topic.publish.intent:6", "loan.end.before:3")]
        string at)
    {
        using MessagePublisher mine = _workspace.Transport.OpenPublisher(Name, new MmapTopicOptions { Capacity = 4096, MaxPublishers = 3 });
        using MessageSubscriber subscriber = _workspace.Transport.OpenSubscriber(Name);
        using PeerProcess victim = Victim(at, "loan-publish", "200");
        Watchdog.Until(() => Drain(subscriber) && victim.HasExited, "the victim to be killed");
        Assert.That(victim.WaitForExit(), Is.EqualTo(137), victim.Errors);
        Drain(subscriber);
        Assert.That(_heard + _lost, Is.InRange(Count(victim, "sent"), Count(victim, "intent")));
        using (MessagePublisher successor = _workspace.Transport.OpenPublisher(Name))
        {
            // Until nothing that was lent lies in either ring.
            for (int i = 0; i < 300; i++)
            {
                successor.TryPublish(new byte[50]);
                mine.TryPublish(new byte[50]);
                Drain(subscriber);
            }
        }

        NothingIsLeft();
    }

    [Test]
    public void A_subscriber_killed_there_holds_no_block([Values("loan.held:5", "loan.let-go.before:5", "topic.read.header:3")] string at)
    {
        using MessagePublisher mine = _workspace.Transport.OpenPublisher(Name, new MmapTopicOptions { Capacity = 4096, MaxPublishers = 3 });
        using PeerProcess victim = Victim(at, "loan-hear");
        victim.WaitFor("ready");
        Watchdog.Until(
            () =>
            {
                if (mine.TryLoan(Bytes, out Loan loan) && !mine.TryPublish(loan, Bytes)) loan.Dispose();
                mine.TryPublish(new byte[5]);
                return victim.HasExited;
            },
            "the victim to be killed");
        Assert.That(victim.WaitForExit(), Is.EqualTo(137), victim.Errors);
        for (int i = 0; i < 300; i++) mine.TryPublish(new byte[50]);
        NothingIsLeft();
    }

    [Test]
    public void A_sender_killed_there_leaves_whole_messages_and_no_block(
        [Values("loan.make.taken:2", "loan.drop.size:2", "loan.make.file:2", "loan.borrowed:5", "loan.sending:5",
            "stream.publish.payload:5", "stream.publish.frame:5", "stream.publish.tail:5", "loan.committed:5", "loan.sent:5")] string at)
    {
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver(Name, new MmapStreamOptions { Capacity = 4096, MaxSenders = 3 });
        using PeerProcess victim = Victim(at, "loan-send", "200");
        Watchdog.Until(() => Drain(receiver) && victim.HasExited, "the victim to be killed");
        Assert.That(victim.WaitForExit(), Is.EqualTo(137), victim.Errors);
        Drain(receiver);
        Assert.That(_heard, Is.InRange(Count(victim, "sent"), Count(victim, "intent")));
        NothingIsLeft();
    }

    [Test]
    public void A_receiver_killed_there_leaves_the_rest_to_its_successor(
        [Values("stream.consume.before:5", "stream.consume.head:5", "loan.end.before:5")] string at)
    {
        using MessageSender mine = _workspace.Transport.OpenSender(Name, new MmapStreamOptions { Capacity = 4096, MaxSenders = 3 });
        using PeerProcess victim = Victim(at, "loan-receive");
        victim.WaitFor("ready");
        for (int i = 0; i < 20; i++)
        {
            Assert.That(mine.TryLoan(Bytes, out Loan loan), Is.True);
            loan.Span.Fill((byte)i);
            Assert.That(mine.TrySend(loan, Bytes), Is.True);
        }

        Assert.That(victim.WaitForExit(), Is.EqualTo(137), victim.Errors);
        using MessageReceiver successor = _workspace.Transport.OpenReceiver(Name);
        Drain(successor);
        Assert.That(_heard, Is.EqualTo(20 - Count(victim, "got")).Or.EqualTo(21 - Count(victim, "got")),
            "what it was at is read again, or counted as read");
        NothingIsLeft();
    }

    [Test]
    public void Makers_killed_one_after_the_other_leave_no_files()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", new MmapQueueOptions { Slots = 8, SlotBytes = 64 });
        for (int i = 0; i < 3; i++)
        {
            using PeerProcess victim =
                _workspace.StartWith([("OTTO_FAULT_AT", "loan.make.file:1:KILL")], "queue-send", "jobs", "1", "5", "loan");
            Assert.That(victim.WaitForExit(), Is.EqualTo(137), victim.Errors);
            Watchdog.Until(() => Pool() is { Lent: 0 }, "the sweep");
        }

        queue.TryLoan(20_000, out Loan loan);
        loan.Dispose();
        Assert.That((Directory.GetFiles(_workspace.Directory, "*.block").Length, Pool()!.Files), Is.EqualTo((1, 1)));
    }

    [Test]
    public void A_block_of_a_message_that_was_done_as_its_worker_died_is_freed_by_who_takes_the_place()
    {
        // Two places: the next handle has to take the dead one's, so that nobody is left to be swept.
        using WorkQueue queue = _workspace.Transport.OpenQueue(Name, new() { Slots = 8, SlotBytes = 64, MaxParticipants = 2 });
        Assert.That(queue.TrySend(Payload.Make(1, 0, Bytes)), Is.True);
        using PeerProcess victim = Victim("loan.end.before:1", "queue-work");
        Assert.That(victim.WaitForExit(), Is.EqualTo(137), victim.Errors);
        using WorkQueue next = _workspace.Transport.OpenQueue(Name);
        Assert.That(queue.GetCounts().Free, Is.EqualTo(queue.Capacity));
        NothingIsLeft();
    }

    private PeerProcess Victim(string at, params string[] arguments) =>
        _workspace.StartWith([("OTTO_FAULT_AT", at + ":KILL")], [arguments[0], Name, .. arguments[1..]]);

    private void NothingIsLeft()
    {
        Assert.That(_torn, Is.Zero);
        Watchdog.Until(() => Pool() is { Lent: 0 }, "every block to come back");
    }

    private PoolContents? Pool() =>
        new MmapInspector(new MmapTransportOptions { Directory = _workspace.Directory }).List().Select(report => report.Contents)
        .OfType<PoolContents>().SingleOrDefault();

    private static int Count(PeerProcess victim, string word) =>
        victim.Lines.Count(line => line.StartsWith(word, StringComparison.Ordinal));

    private bool Drain(MessageSubscriber subscriber)
    {
        while (subscriber.TryReceive(out TopicFrame message))
        {
            _lost += message.Lost;
            if (message.Bytes.Length != Bytes) continue;
            _heard++;
            if (message.Bytes.ContainsAnyExcept(message.Bytes[0])) _torn++;
        }

        return true;
    }

    private bool Drain(MessageReceiver receiver)
    {
        while (receiver.TryReceive(out ReadLease lease))
        {
            _heard++;
            if (lease.Bytes.Length != Bytes || lease.Bytes.ContainsAnyExcept(lease.Bytes[0])) _torn++;
            lease.Dispose();
        }

        return true;
    }
}
