using Otto.Ipc.Conformance;
using Otto.Ipc.Fifo.Relays;

namespace Otto.Ipc.Fifo.Tests.Relays;

// One producer, one consumer, and everything that shells do to a FIFO.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class OneToOneRelayTests
{
    private const string ReadLines = """while read -r line; do echo "got $line"; done < "$OTTO_INPUT_PIPE"; echo end""";
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Two_echos_in_a_row_reach_one_loop_which_ends_with_the_producer()
    {
        using var run = new RelayRun(_workspace);
        ExternalProgram consumer = run.Consume(ReadLines),
            producer = run.Produce("echo one > \"$OTTO_OUTPUT_PIPE\"; echo two > \"$OTTO_OUTPUT_PIPE\"");
        producer.Output();
        Assert.That(consumer.Output(), Is.EqualTo("got one\ngot two\nend\n"));
        Assert.That(run.Report(),
            Is.EqualTo(new FifoRelayReport(8, false, [])).Using<FifoRelayReport>(
                (a, b) => (a.Bytes, a.ConsumersLeft, a.Errors.Count) == (b.Bytes, b.ConsumersLeft, b.Errors.Count)));
    }

    [Test]
    public void An_endless_producer_ends_quietly_when_its_consumer_has_had_enough()
    {
        using var run = new RelayRun(_workspace);
        ExternalProgram producer = run.Produce("yes > \"$OTTO_OUTPUT_PIPE\""),
            consumer = run.Consume("head -n 10 < \"$OTTO_INPUT_PIPE\"; read -r _");
        Assert.That(producer.AwaitExit(), Is.EqualTo(128 + ExternalProgram.SigPipe), "while the consumer's process still runs");
        Assert.That(producer.Errors(), Is.Empty);
        consumer.Say("done");
        Assert.That(consumer.AwaitExit(), Is.Zero);
        Assert.That(run.Report().ConsumersLeft, Is.True);
    }

    [Test]
    public void A_loop_of_echos_ends_too()
    {
        using var run = new RelayRun(_workspace);
        ExternalProgram producer = run.Produce("while :; do echo again > \"$OTTO_OUTPUT_PIPE\"; done"),
            consumer = run.Consume("head -n 3 < \"$OTTO_INPUT_PIPE\"");
        Assert.That(consumer.Output(), Is.EqualTo("again\nagain\nagain\n"));
        // Each echo opens the FIFO anew: one that opens it when nobody reads any more must not wait there for ever.
        Assert.That(producer.AwaitExit(), Is.EqualTo(128 + ExternalProgram.SigPipe));
    }

    [Test]
    public void A_producer_that_opens_again_after_all_consumers_left_is_rejected()
    {
        using var run = new RelayRun(_workspace);
        ExternalProgram producer = run.Produce(
            "echo first > \"$OTTO_OUTPUT_PIPE\"; read -r _; exec 3> \"$OTTO_OUTPUT_PIPE\"; while echo again >&3; do :; done");
        run.Consume("head -n 1 < \"$OTTO_INPUT_PIPE\"").Output();
        Assert.That(run.Report().ConsumersLeft, Is.True);
        producer.Say("go");
        Assert.That(producer.AwaitExit(), Is.EqualTo(128 + ExternalProgram.SigPipe));
    }

    [Test]
    public void A_producer_that_ends_before_the_consumer_has_opened_loses_nothing([Values(1, 60_000, 5_000_000)] int bytes)
    {
        using var run = new RelayRun(_workspace);
        ExternalProgram producer = run.Produce($"head -c {bytes} /dev/zero > \"$OTTO_OUTPUT_PIPE\"");
        // The largest waits for the consumer, since nothing holds as much.
        if (bytes < 100_000) producer.Output();
        ExternalProgram consumer = run.Consume("wc -c < \"$OTTO_INPUT_PIPE\"");
        Assert.That(consumer.Output().Trim(), Is.EqualTo($"{bytes}"));
        producer.Output();
    }

    [Test]
    public void Python_programs_that_just_open_the_paths_work()
    {
        using var run = new RelayRun(_workspace);
        ExternalProgram producer = run.ProducePython(
            """
            import os
            for part in range(2):
                with open(os.environ["OTTO_OUTPUT_PIPE"], "w") as pipe:
                    for i in range(50_000): print(part, i, file=pipe)
            """);
        ExternalProgram consumer = run.ConsumePython(
            """
            import os
            expected = [f"{part} {i}\n" for part in range(2) for i in range(50_000)]
            print(list(open(os.environ["OTTO_INPUT_PIPE"])) == expected)
            """);
        Assert.That(consumer.Output(), Is.EqualTo("True\n"));
        producer.Output();
    }

    [Test]
    public void Every_byte_value_passes_in_pieces_of_every_size()
    {
        using var run = new RelayRun(_workspace);
        ExternalProgram producer = run.ProducePython(
            """
            import os, random
            random.seed(1)
            data = bytes(range(256)) * 20_000
            pipe = os.open(os.environ["OTTO_OUTPUT_PIPE"], os.O_WRONLY)
            at = 0
            while at < len(data):
                at += os.write(pipe, data[at:at + random.choice([1, 10, 4096, 4097, 100_000])])
            """);
        ExternalProgram consumer = run.ConsumePython(
            "import os; print(open(os.environ['OTTO_INPUT_PIPE'], 'rb').read() == bytes(range(256)) * 20_000)");
        Assert.That(consumer.Output(), Is.EqualTo("True\n"));
        producer.Output();
    }

    [Test]
    public void A_hundred_megabytes_pass_unchanged()
    {
        using var run = new RelayRun(_workspace);
        ExternalProgram producer = run.Produce("head -c 100000000 /dev/urandom | tee \"$OTTO_OUTPUT_PIPE\" | md5sum"),
            consumer = run.Consume("md5sum < \"$OTTO_INPUT_PIPE\"");
        string sum = producer.Output();
        Assert.That(consumer.Output(), Is.EqualTo(sum));
        Assert.That(run.Report().Bytes, Is.EqualTo(100_000_000));
    }

    [Test]
    public void A_slow_consumer_holds_its_producer_and_no_memory_is_piled_up()
    {
        using var run = new RelayRun(_workspace, new FifoRelayOptions { PipeBytes = 65_536 });
        ExternalProgram consumer = run.Consume("exec 3< \"$OTTO_INPUT_PIPE\"; read -r _; wc -c <&3");
        // It counts what it could write before it had to wait.
        ExternalProgram producer = run.ProducePython(
            """
            import os, select
            pipe = os.open(os.environ["OTTO_OUTPUT_PIPE"], os.O_WRONLY | os.O_NONBLOCK)
            written = 0
            def fill():
                global written
                while select.select([], [pipe], [], 3)[1]: written += os.write(pipe, bytes(10_000))
            fill()
            print(written, flush=True)
            """);
        int written = int.Parse(producer.Output(), System.Globalization.CultureInfo.InvariantCulture);
        Assert.That(written, Is.InRange(100_000, 3 * 65_536), "a pipe on each side, and the relay's buffer of 64 KiB");
        consumer.Say("go");
        Assert.That(consumer.Output().Trim(), Is.EqualTo($"{written}"));
    }

    [Test]
    public void A_producer_that_never_opens_its_pipe_ends_the_consumer()
    {
        using var run = new RelayRun(_workspace);
        ExternalProgram consumer = run.Consume(ReadLines);
        run.Produce("exit 7").Output(7);
        Assert.That(consumer.Output(), Is.EqualTo("end\n"));
    }

    [Test]
    public void A_consumer_that_never_opens_its_pipe_ends_the_producer_by_its_own_end()
    {
        using var run = new RelayRun(_workspace);
        ExternalProgram producer = run.Produce("yes > \"$OTTO_OUTPUT_PIPE\""), consumer = run.Consume("read -r _");
        consumer.Say("end");
        consumer.Output();
        Assert.That(producer.AwaitExit(), Is.EqualTo(128 + ExternalProgram.SigPipe));
    }

    [Test]
    public void A_consumer_that_opens_again_after_the_end_finds_the_end()
    {
        using var run = new RelayRun(_workspace);
        ExternalProgram producer = run.Produce("echo once > \"$OTTO_OUTPUT_PIPE\""),
            consumer = run.Consume("cat \"$OTTO_INPUT_PIPE\"; cat \"$OTTO_INPUT_PIPE\"; cat \"$OTTO_INPUT_PIPE\"; echo done");
        Assert.That(consumer.Output(), Is.EqualTo("once\ndone\n"));
        producer.Output();
    }

    [Test]
    public void A_killed_producer_ends_its_consumer_after_what_it_wrote()
    {
        using var run = new RelayRun(_workspace);
        ExternalProgram consumer = run.Consume(ReadLines),
            producer = run.Produce("exec 3> \"$OTTO_OUTPUT_PIPE\"; echo written >&3; kill -9 $$");
        Assert.That(producer.AwaitExit(), Is.EqualTo(128 + ExternalProgram.SigKill));
        Assert.That(consumer.Output(), Is.EqualTo("got written\nend\n"));
    }

    [Test]
    public void A_killed_consumer_ends_its_producer()
    {
        using var run = new RelayRun(_workspace);
        ExternalProgram producer = run.Produce("yes > \"$OTTO_OUTPUT_PIPE\""),
            consumer = run.Consume("exec 3< \"$OTTO_INPUT_PIPE\"; read -r line <&3; kill -9 $$");
        Assert.That(consumer.AwaitExit(), Is.EqualTo(128 + ExternalProgram.SigKill));
        Assert.That(producer.AwaitExit(), Is.EqualTo(128 + ExternalProgram.SigPipe));
    }

    [Test]
    public void The_producers_end_counts_and_not_that_of_a_child_it_left_running()
    {
        using var run = new RelayRun(_workspace);
        // The child has the FIFO open, and will as long as it runs.
        ExternalProgram consumer = run.Consume(ReadLines),
            producer = run.Produce(
                "exec 3> \"$OTTO_OUTPUT_PIPE\"; sleep 1000 > /dev/null 2>&1 < /dev/null & echo $! > child; echo mine >&3");
        Assert.That(consumer.Output(), Is.EqualTo("got mine\nend\n"));
        Assert.That(producer.AwaitExit(), Is.Zero);
        _workspace.Bash("kill $(cat child)").Output();
    }

    [Test]
    public void Until_closed_the_children_are_waited_for_too()
    {
        using var run = new RelayRun(_workspace, new FifoRelayOptions { UntilClosed = true });
        _workspace.Bash("mkfifo go").Output();
        ExternalProgram consumer = run.Consume(ReadLines),
            producer = run.Produce("{ read -r _ < go; echo late; } > \"$OTTO_OUTPUT_PIPE\" 2> "
            + "/dev/null < /dev/null & until [ -e /proc/$!/fd/1 ] && [ /proc/$!/fd/1 -ef \"$OTTO_OUTPUT_PIPE\" ]; do :; done; echo "
            + "early > \"$OTTO_OUTPUT_PIPE\"");
        Assert.That(producer.AwaitExit(), Is.Zero);
        Assert.That(consumer.HasExited, Is.False);
        _workspace.Bash("echo > go").Output();
        Assert.That(consumer.Output(), Is.EqualTo("got early\ngot late\nend\n"));
    }

    [Test]
    public void A_dot_NET_program_can_be_on_either_side()
    {
        using var run = new RelayRun(_workspace);
        var transport = new FifoTransport();
        using MessageReceiver receiver = transport.OpenReceiverAt(run.Relay.InputPipes[0]);
        using (MessageSender sender = transport.OpenSenderAt(run.Relay.OutputPipes[0]))
        {
            for (int i = 0; i < 1000; i++)
            {
                while (!sender.TrySend($"line {i}".ToBytes())) sender.WaitToSend(10, Watchdog.Limit);
            }
        }

        run.Relay.ProducerEnded(0);
        Assert.That(receiver.Drain(), Is.EqualTo(Enumerable.Range(0, 1000).Select(i => $"line {i}")));
    }

    [Test]
    public void Disposing_releases_all_programs()
    {
        ExternalProgram waits, writes;
        using (var run = new RelayRun(_workspace))
        {
            writes = run.Produce("exec 3> \"$OTTO_OUTPUT_PIPE\"; while echo x >&3; do :; done");
            waits = run.Consume("{ read -r line; : > seen; cat; } < \"$OTTO_INPUT_PIPE\" | wc -l");
            Watchdog.Until(() => File.Exists(Path.Combine(_workspace.Directory, "seen")), "a line to pass");
        }

        Assert.That(writes.AwaitExit(), Is.EqualTo(128 + ExternalProgram.SigPipe));
        Assert.That(waits.AwaitExit(), Is.Zero);
    }

    [Test]
    public void What_a_killed_relay_left_is_cleared_by_the_next()
    {
        _workspace.Bash("mkdir -m 700 pipe-1-1; mkfifo -m 600 pipe-1-1/output-1").Output();
        string alive;
        using (var other = new RelayRun(_workspace))
        {
            alive = Path.GetDirectoryName(other.Relay.OutputPipes[0])!;
            using (new RelayRun(_workspace)) Assert.That(Directory.Exists(alive), Is.True, "a live relay's is left alone");
            Assert.That(Directory.Exists(Path.Combine(_workspace.Directory, "pipe-1-1")), Is.False);
        }

        Assert.That(Directory.GetFileSystemEntries(_workspace.Directory), Is.Empty);
    }
}
