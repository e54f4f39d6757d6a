using System.Globalization;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Python;

// Python as a subscriber that takes no part in a topic that .NET publishes.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class PythonTopicTests
{
    private const string Listen =
        """
        with TopicReader("news", a[0], oldest=len(a) > 1) as news:
            print("ready", flush=True)
            heard = lost = 0
            while True:
                m = news.receive()
                if m.data == b"end": break
                number = int.from_bytes(m.data[:4], "little")
                assert number == heard + lost + m.lost, (number, heard, lost, m.lost)
                assert m.data[4:] == bytes([number & 255]) * (number * 13 % 900), number
                heard, lost = heard + 1, lost + m.lost
            print(heard + lost + m.lost, "lost" if lost + m.lost else "whole")
        """;

    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Overwritten_messages_are_counted_exactly_and_no_torn_message_is_received()
    {
        using MessagePublisher publisher = _workspace.Transport.OpenPublisher("news", new MmapTopicOptions { Capacity = 1 << 14 });
        using ChildProcess python = PythonProgram.Start(Listen, _workspace.Directory);
        python.AwaitReady();
        for (int i = 0; i < 100_000; i++) Publish(publisher, i);
        Assert.That(publisher.TryPublish("end"u8), Is.True);
        Assert.That(python.Output(), Is.EqualTo("100000 lost"));
    }

    [Test]
    public void A_late_reader_may_have_what_is_still_there()
    {
        using MessagePublisher publisher = _workspace.Transport.OpenPublisher("news");
        for (int i = 0; i < 100; i++) Publish(publisher, i);
        publisher.TryPublish("end"u8);
        using ChildProcess python = PythonProgram.Start(Listen, _workspace.Directory, "oldest");
        python.AwaitReady();
        Assert.That(python.Output(), Is.EqualTo("100 whole"));
    }

    [Test]
    public void A_sleeping_reader_wakes_for_each_message()
    {
        using MessagePublisher publisher = _workspace.Transport.OpenPublisher("news");
        using ChildProcess python = PythonProgram.Start(
            """
            with TopicReader("news", a[0]) as news:
                print("ready", flush=True)
                for m in news:
                    print(m.data.decode(), flush=True)
                    if m.data == b"end": break
            """, _workspace.Directory);
        python.AwaitReady();
        long start = Environment.TickCount64;
        for (int i = 0; i < 100; i++)
        {
            string text = i.ToString(CultureInfo.InvariantCulture);
            publisher.TryPublish(System.Text.Encoding.UTF8.GetBytes(text));
            Assert.That(python.ReadLine(), Is.EqualTo(text));
        }

        Assert.That(Environment.TickCount64 - start, Is.LessThan(50_000)); // as in PythonStreamTests
        publisher.TryPublish("end"u8);
        Assert.That(python.Output(), Is.EqualTo("end"));
    }

    [Test]
    public void Publishers_that_wait_for_subscribers_do_not_wait_for_one_that_takes_no_part(
        [Values(SlowSubscriberPolicy.Block, SlowSubscriberPolicy.Disconnect)] SlowSubscriberPolicy policy)
    {
        using MessagePublisher publisher =
            _workspace.Transport.OpenPublisher("news", new MmapTopicOptions { Capacity = 1 << 14, Policy = policy });
        using ChildProcess python =
            PythonProgram.Start(
                "reader = TopicReader('news', a[0])\nprint('ready', flush=True)\nsys.stdin.readline()\nprint(reader.receive().lost > 0)",
                _workspace.Directory);
        python.AwaitReady();
        for (int i = 0; i < 500; i++) Publish(publisher, i);
        python.Go();
        Assert.That(python.Output(), Is.EqualTo("True"));
    }

    [Test]
    public void Loans_are_received_or_lost_never_torn()
    {
        const int Bytes = 20_000;
        using MessagePublisher publisher = _workspace.Transport.OpenPublisher("news", new MmapTopicOptions { Capacity = 4096 });
        using ChildProcess python = PythonProgram.Start(
            """
            with TopicReader("news", a[0]) as news:
                print("ready", flush=True)
                following = heard = 0
                while True:
                    m = news.receive()
                    following += m.lost
                    if m.data == b"end": break
                    assert len(m.data) == 20000 and m.data == m.data[:1] * 20000 and m.data[0] == following & 255, following
                    following, heard = following + 1, heard + 1
                    if heard == 1: print("first", flush=True)
                print(following)
            """, _workspace.Directory);
        python.AwaitReady();
        for (int i = 0; i < 2_000; i++)
        {
            Loan loan = default;
            Watchdog.Until(() => publisher.TryLoan(Bytes, out loan), "a block");
            loan.Span[..Bytes].Fill((byte)i);
            Assert.That(publisher.TryPublish(loan, Bytes), Is.True);
            if (i == 0) Assert.That(python.ReadLine(), Is.EqualTo("first"));
        }

        publisher.TryPublish("end"u8);
        Assert.That(python.Output(), Is.EqualTo("2000"));
    }

    private static void Publish(MessagePublisher publisher, int number)
    {
        Span<byte> message = stackalloc byte[904];
        int length = number * 13 % 900;
        BitConverter.TryWriteBytes(message, number);
        message.Slice(4, length).Fill((byte)number);
        Assert.That(publisher.TryPublish(message[..(4 + length)]), Is.True);
    }
}
