using Otto.Ipc.Conformance;
using Otto.Ipc.Fifo.Relays;

namespace Otto.Ipc.Fifo.Tests.Relays;

// Several producers into one consumer, one producer into several consumers, and both at once.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class ManyToManyRelayTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Lines_of_several_producers_stay_whole_even_larger_than_every_buffer()
    {
        const int Producers = 4;
        using var run = new RelayRun(_workspace, new FifoRelayOptions { Producers = Producers });
        ExternalProgram consumer = run.ConsumePython(
            """
            import os
            next = {}
            for line in open(os.environ["OTTO_INPUT_PIPE"]):
                who, number, text, end = line.split(" ")
                assert next.get(who, 0) == int(number) and set(text) == {who} and end == "end\n", line[:100]
                next[who] = int(number) + 1
            print(sorted(next.items()))
            """);
        for (int i = 0; i < Producers; i++)
        {
            // Written in small pieces, so that every line is seen by halves.
            run.ProducePython(
                $$"""
                import os
                pipe = open(os.environ["OTTO_OUTPUT_PIPE"], "w", buffering=1000)
                for number in range(300):
                    pipe.write("{{i}} %d %s end\n" % (number, "{{i}}" * [1, 100, 5_000, 200_000][number % 4 if number % 40 < 8 else 1]))
                """);
        }

        Assert.That(consumer.Output(), Is.EqualTo("[('0', 300), ('1', 300), ('2', 300), ('3', 300)]\n"));
    }

    [Test]
    public void A_producer_in_the_middle_of_a_line_does_not_block_the_others()
    {
        using var run = new RelayRun(_workspace, new FifoRelayOptions { Producers = 2 });
        ExternalProgram consumer = run.Consume("while read -r line; do echo \"$line\"; : > seen; done < \"$OTTO_INPUT_PIPE\"");
        ExternalProgram slow = run.Produce("printf 'slow ' > \"$OTTO_OUTPUT_PIPE\"; read -r _; echo but whole > \"$OTTO_OUTPUT_PIPE\"");
        run.Produce("echo quick > \"$OTTO_OUTPUT_PIPE\"").Output();
        Watchdog.Until(() => File.Exists(Path.Combine(_workspace.Directory, "seen")), "the quick line");
        slow.Say("go");
        Assert.That(consumer.Output(), Is.EqualTo("quick\nslow but whole\n"));
        slow.Output();
    }

    [Test]
    public void A_line_that_its_producer_left_open_is_ended()
    {
        using var run = new RelayRun(_workspace, new FifoRelayOptions { Producers = 2 });
        ExternalProgram consumer = run.Consume("cat \"$OTTO_INPUT_PIPE\""), second;
        run.Produce("printf 'no end' > \"$OTTO_OUTPUT_PIPE\"").Output();
        second = run.Produce("read -r _; echo second > \"$OTTO_OUTPUT_PIPE\"");
        second.Say("go");
        Assert.That(consumer.Output(), Is.EqualTo("no end\nsecond\n").Or.EqualTo("second\nno end\n"));
    }

    [Test]
    public void Length_prefixed_frames_of_several_producers_stay_whole()
    {
        using var run = new RelayRun(_workspace, new FifoRelayOptions { Producers = 3, Framing = FifoFraming.LengthPrefixed });
        ExternalProgram consumer = run.ConsumePython(
            """
            import os, struct
            pipe, count = open(os.environ["OTTO_INPUT_PIPE"], "rb"), 0
            while header := pipe.read(4):
                body = pipe.read(struct.unpack("<I", header)[0])
                assert len(set(body)) <= 1, body[:50]
                count += 1
            print(count)
            """);
        for (int i = 0; i < 3; i++)
        {
            run.ProducePython(
                $$"""
                import os, struct
                pipe = open(os.environ["OTTO_OUTPUT_PIPE"], "wb", buffering=777)
                for n in range(200):
                    body = bytes([10 + {{i}}]) * [0, 1, 5_000, 150_000][n % 4 if n % 40 < 8 else 1]
                    pipe.write(struct.pack("<I", len(body)) + body)
                """);
        }

        Assert.That(consumer.Output(), Is.EqualTo("600\n"));
        Assert.That(run.Report().Errors, Is.Empty);
    }

    [Test]
    public void A_cut_frame_is_dropped_and_reported_and_the_others_pass()
    {
        using var run = new RelayRun(_workspace, new FifoRelayOptions { Producers = 2, Framing = FifoFraming.LengthPrefixed });
        ExternalProgram consumer = run.Consume("od -An -tx1 < \"$OTTO_INPUT_PIPE\"");
        run.Produce("printf '\\x05\\0\\0\\0abc' > \"$OTTO_OUTPUT_PIPE\"").Output();
        run.Produce("printf '\\x02\\0\\0\\0xy' > \"$OTTO_OUTPUT_PIPE\"").Output();
        Assert.That(consumer.Output().Trim(), Is.EqualTo("02 00 00 00 78 79"));
        Assert.That(run.Report().Errors.Single(), Does.Contain("output-1 is truncated").And.Contain("only 7 bytes"));
    }

    [Test]
    public void A_frame_cut_in_its_middle_ends_the_relay_and_is_reported()
    {
        using var run = new RelayRun(_workspace, new FifoRelayOptions { Producers = 2, Framing = FifoFraming.LengthPrefixed });
        ExternalProgram consumer = run.Consume("wc -c < \"$OTTO_INPUT_PIPE\""),
            other = run.Produce("read -r _; echo > \"$OTTO_OUTPUT_PIPE\"");
        // Larger than the relay's buffer, so that its beginning is passed on before its end is seen.
        run.ProducePython("import os; open(os.environ['OTTO_OUTPUT_PIPE'], 'wb').write(b'\\0\\0\\x10\\0' + bytes(100_000))").Output();
        Assert.That(run.Report().Errors.Single(), Does.Contain("nothing can follow it"));
        consumer.Output();
        other.Say("go");
        Assert.That(other.AwaitExit(), Is.EqualTo(128 + ExternalProgram.SigPipe).Or.Zero);
    }

    [Test]
    public void Every_consumer_gets_everything()
    {
        using var run = new RelayRun(_workspace, new FifoRelayOptions { Consumers = 3 });
        ExternalProgram[] consumers =
            [.. Enumerable.Range(0, 3).Select(i => run.Consume($"{(i == 1 ? "sleep 0.2; " : "")}md5sum < \"$OTTO_INPUT_PIPE\""))];
        string sum = run.Produce("head -c 3000000 /dev/urandom | tee \"$OTTO_OUTPUT_PIPE\" | md5sum").Output();
        foreach (ExternalProgram consumer in consumers) Assert.That(consumer.Output(), Is.EqualTo(sum));
    }

    [Test]
    public void A_consumer_that_leaves_does_not_end_the_others()
    {
        using var run = new RelayRun(_workspace, new FifoRelayOptions { Consumers = 2 });
        ExternalProgram stays = run.Consume("wc -l < \"$OTTO_INPUT_PIPE\""), leaves = run.Consume("head -n 1 < \"$OTTO_INPUT_PIPE\""),
            producer = run.Produce("seq 500000 > \"$OTTO_OUTPUT_PIPE\"");
        Assert.That(stays.Output().Trim(), Is.EqualTo("500000"));
        Assert.That(leaves.Output(), Is.EqualTo("1\n"));
        producer.Output();
        Assert.That(run.Report().ConsumersLeft, Is.False);
    }

    [Test]
    public void Several_to_several()
    {
        using var run = new RelayRun(_workspace, new FifoRelayOptions { Producers = 3, Consumers = 2 });
        ExternalProgram[] consumers = [run.Consume("sort < \"$OTTO_INPUT_PIPE\" | md5sum"),
            run.Consume("sort < \"$OTTO_INPUT_PIPE\" | md5sum")];
        for (int i = 1; i <= 3; i++) run.Produce($"seq -f 'producer {i} line %g' 20000 > \"$OTTO_OUTPUT_PIPE\"");
        string sum = _workspace.Bash("for i in 1 2 3; do seq -f \"producer $i line %g\" 20000; done | sort | md5sum").Output();
        foreach (ExternalProgram consumer in consumers) Assert.That(consumer.Output(), Is.EqualTo(sum));
    }

    [TestCase(0, 1, "1 to 64 producers: 0")]
    [TestCase(65, 1, "1 to 64 producers: 65")]
    [TestCase(1, 0, "1 to 64 consumers: 0")]
    public void Numbers_out_of_bounds_are_refused(int producers, int consumers, string words) =>
        Assert.That(() => new FifoRelay(
            new FifoRelayOptions { Producers = producers, Consumers = consumers, Directory = _workspace.Directory }),
            Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains(words));
}
