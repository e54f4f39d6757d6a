using System.Globalization;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Python;

// Python as the receiver of a stream that .NET sends.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class PythonStreamTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public async Task Everything_arrives_whole_and_in_the_order_of_each_sender_through_a_ring_that_is_often_full()
    {
        const int Senders = 3, Each = 4_000;
        var options = new MmapStreamOptions { Capacity = 4096, MaxSenders = Senders };
        MessageSender[] senders = [.. Enumerable.Range(0, Senders).Select(_ => _workspace.Transport.OpenSender("frames", options))];
        using ChildProcess python = PythonProgram.Start(
            """
            with StreamReader("frames", a[0]) as frames:
                print("ready", flush=True)
                following = {}
                for m in frames:
                    sender, number = m[0], int.from_bytes(m[1:5], "little")
                    assert number == following.get(sender, 0), (sender, number, following)
                    assert m[5:] == bytes([number & 255]) * (number * 13 % 1500), number
                    following[sender] = number + 1
                print(sorted(following.items()), frames.completed)
            """, _workspace.Directory);
        python.AwaitReady();
        await Watchdog.WaitAsync(Task.WhenAll(senders.Select((sender, s) => Watchdog.RunOnThread(() =>
        {
            byte[] message = new byte[1_505];
            for (int n = 0; n < Each; n++)
            {
                message[0] = (byte)s;
                BitConverter.TryWriteBytes(message.AsSpan(1), n);
                int length = n * 13 % 1500;
                message.AsSpan(5, length).Fill((byte)n);
                while (!sender.TrySend(message.AsSpan(0, 5 + length))) Assert.That(sender.WaitToSend(5 + length, Watchdog.Limit), Is.True);
            }

            sender.Complete();
            sender.Dispose();
        }))));
        Assert.That(python.Output(), Is.EqualTo("[(0, 4000), (1, 4000), (2, 4000)] True"));
    }

    [Test]
    public void A_sleeping_reader_wakes_for_each_message()
    {
        using MessageSender sender = _workspace.Transport.OpenSender("frames");
        using ChildProcess python = PythonProgram.Start(
            """
            with StreamReader("frames", a[0]) as frames:
                print("ready", flush=True)
                for m in frames: print(int.from_bytes(m, "little"), flush=True)
            """, _workspace.Directory);
        python.AwaitReady();
        // A wake that is lost costs a second: a minute's patience a line would not notice, a hundred of them are.
        long start = Environment.TickCount64;
        for (int i = 0; i < 100; i++)
        {
            Assert.That(sender.TrySend(BitConverter.GetBytes(i)), Is.True);
            Assert.That(python.ReadLine(), Is.EqualTo(i.ToString(CultureInfo.InvariantCulture)));
        }

        Assert.That(Environment.TickCount64 - start, Is.LessThan(50_000));
        sender.Complete();
        Assert.That(python.AwaitExit(), Is.Zero);
    }

    [Test]
    public void A_killed_reader_leaves_what_it_had_not_read_to_its_successor_in_dotnet()
    {
        using MessageSender sender = _workspace.Transport.OpenSender("frames");
        for (int i = 0; i < 500; i++) sender.TrySend(BitConverter.GetBytes(i));
        using (ChildProcess python = PythonProgram.Start(
            """
            import os, signal
            frames = StreamReader("frames", a[0])
            for i in range(200): assert int.from_bytes(frames.receive(), "little") == i
            with frames.lease() as m:
                assert int.from_bytes(m, "little") == 200
                os.kill(os.getpid(), signal.SIGKILL)
            """, _workspace.Directory))
        {
            Assert.That(python.AwaitExit(), Is.EqualTo(137));
        }

        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames");
        for (int i = 200; i < 500; i++)
        {
            Assert.That(receiver.TryReceive(out ReadLease lease), Is.True);
            Assert.That(BitConverter.ToInt32(lease.Bytes), Is.EqualTo(i));
            lease.Dispose();
        }

        Assert.That(receiver.TryReceive(out _), Is.False);
    }

    [Test]
    public void A_forked_child_takes_no_part_in_its_parents_reader_and_keeps_none_of_its_locks()
    {
        using MessageSender sender = _workspace.Transport.OpenSender("frames");
        for (int i = 0; i < 10; i++) sender.TrySend(BitConverter.GetBytes(i));
        using ChildProcess python = PythonProgram.Start(
            """
            import os, signal
            frames = StreamReader("frames", a[0])
            assert frames.receive() == (0).to_bytes(4, "little")
            child = os.fork()
            if not child:
                try: frames.receive(0)
                except OttoError as e: assert "open one here" in str(e), e
                else: os._exit(1)
                frames.close()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            assert frames.receive() == (1).to_bytes(4, "little"), "the child read nothing and left nothing"
            child = os.fork()
            if not child: signal.pause()
            print("ready", flush=True)
            sys.stdin.readline()
            print(child, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
            """, _workspace.Directory);
        python.AwaitReady();
        Assert.Throws<IOException>(() => _workspace.Transport.OpenReceiver("frames"));
        python.Go();
        int child = int.Parse(python.ReadLine()!, System.Globalization.CultureInfo.InvariantCulture);
        Assert.That(python.AwaitExit(), Is.EqualTo(137));
        try
        {
            // The child lives; its parent's place is free all the same.
            using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames");
            Assert.That(receiver.TryReceive(out ReadLease lease), Is.True);
            Assert.That(BitConverter.ToInt32(lease.Bytes), Is.EqualTo(2));
            lease.Dispose();
        }
        finally
        {
            System.Diagnostics.Process.GetProcessById(child).Kill();
        }
    }

    [Test]
    public void There_is_one_receiver_whatever_its_language()
    {
        using MessageSender sender = _workspace.Transport.OpenSender("frames");
        const string Refused = """
            try: StreamReader("frames", a[0])
            except OttoError as e: print(e)
            """;
        using (MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames"))
        {
            using ChildProcess second = PythonProgram.Start(Refused, _workspace.Directory);
            Assert.That(second.Output(), Does.EndWith("has a receiver already, and it is alive; close it first"));
        }

        using ChildProcess python = PythonProgram.Start("""
            with StreamReader("frames", a[0]):
                print("ready", flush=True)
                sys.stdin.readline()
            print("ready", flush=True)
            sys.stdin.readline()
            """, _workspace.Directory);
        python.AwaitReady();
        Assert.That(Assert.Throws<IOException>(() => _workspace.Transport.OpenReceiver("frames"))!.Message,
            Does.Contain("has a receiver already"));
        python.Go();
        python.AwaitReady();
        _workspace.Transport.OpenReceiver("frames").Dispose();
        python.Go();
        Assert.That(python.AwaitExit(), Is.Zero);
    }

    [Test]
    public void A_loan_is_read_and_its_block_comes_back()
    {
        using MessageSender sender = _workspace.Transport.OpenSender("frames");
        using ChildProcess python = PythonProgram.Start(
            """
            import hashlib
            with StreamReader("frames", a[0]) as frames:
                print("ready", flush=True)
                for m in frames: print(len(m), hashlib.sha256(m).hexdigest().upper(), flush=True)
            """, _workspace.Directory);
        python.AwaitReady();
        // More than a pool has blocks: who finds none to borrow collects what no message names any more.
        for (int i = 0; i < 80; i++)
        {
            Loan loan = default;
            Watchdog.Until(() => sender.TryLoan(100_000, out loan), "a block");
            Payload.Fill(loan.Span[..100_000], 3, i);
            Assert.That(sender.TrySend(loan, 100_000), Is.True);
            Assert.That(python.ReadLine(),
                Is.EqualTo($"100000 {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(Payload.Make(3, i, 100_000)))}"));
        }

        sender.Complete();
        Assert.That(python.AwaitExit(), Is.Zero);
    }

    [Test]
    public void What_is_no_stream_or_was_replaced_is_an_error()
    {
        using (MessageSender sender = _workspace.Transport.OpenSender("frames"))
        {
            using ChildProcess python = PythonProgram.Start(
                """
                def attempt(name):
                    try: StreamReader(name, a[0]).close()
                    except (OttoError, OSError, ValueError) as e: print(type(e).__name__, e)
                    else: print("opened")
                attempt("frames"); attempt("none"); attempt("../frames")
                with open(a[0] + "/frames.stream", "r+b") as f:
                    f.seek(0x20); f.write(b"\x07")
                attempt("frames")
                with open(a[0] + "/frames.stream", "r+b") as f:
                    f.seek(0); f.write(b"OTTOIPC2")
                attempt("frames")
                """, _workspace.Directory);
            string[] lines = python.Output().Split('\n');
            Assert.That(lines.Select(l => l.Split(' ')[0]),
                Is.EqualTo((string[])["opened", "FileNotFoundError", "ValueError", "CorruptError", "CorruptError"]));
        }

        File.Delete(Path.Combine(_workspace.Directory, "frames.stream"));
        using MessageSender live = _workspace.Transport.OpenSender("frames");
        using ChildProcess waiting = PythonProgram.Start(
            """
            frames = StreamReader("frames", a[0])
            print("ready", flush=True)
            try: frames.receive()
            except RetiredError as e: print(e)
            """, _workspace.Directory);
        waiting.AwaitReady();
        File.Delete(Path.Combine(_workspace.Directory, "frames.stream"));
        Assert.That(waiting.Output(), Does.Contain("was deleted, replaced or retired while it was open here"));
    }
}
