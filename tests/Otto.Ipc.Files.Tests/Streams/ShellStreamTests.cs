using System.Diagnostics;
using System.Text;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Files.Tests.Streams;

// A log is lines of JSON: tail follows it, jq reads it, and a script that holds the lane's lock appends to it.

[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class ShellStreamTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Jq_reads_what_was_sent()
    {
        using MessageSender sender = _workspace.Transport.OpenSender("frames");
        sender.TrySend("{\"file\":\"a.jpg\"}"u8);
        sender.TrySend("hello"u8);
        sender.TrySend([255, 0]);
        sender.TrySend("{\n}"u8);
        Assert.That(_workspace.Bash("cat streams/frames/lanes/*/*.jsonl").Output,
            Is.EqualTo("{\"file\":\"a.jpg\"}\n{\"$base64\":\"aGVsbG8=\"}\n{\"$base64\":\"/wA=\"}\n{\"$base64\":\"ewp9\"}\n"));
        Assert.That(_workspace.Bash("jq -r '.[\"$base64\"] // empty | @base64d' streams/frames/lanes/0/*.jsonl | head -n 1").Output,
            Is.EqualTo("hello\n"));
        Assert.That(_workspace.Bash("cat streams/frames/stream.json").Output,
            Is.EqualTo("{\"capacity\":16777216,\"maxMessageBytes\":1048576,\"maxSenders\":4}\n"));
    }

    [Test]
    public async Task A_script_sends_in_a_lane_of_its_own()
    {
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames");
        ValueTask<bool> waiting = receiver.WaitToReceiveAsync();
        // As docs/files.md shows it.
        ShellResult script = _workspace.Bash("""
            set -e
            lane=streams/frames/lanes/script
            mkdir -p -m 700 "$lane"
            exec 9> "$lane/lock"
            flock 9
            log=$(ls "$lane" | grep '\.jsonl$' | tail -n 1) || true
            log=$lane/${log:-00000000000000000000.jsonl}
            echo '{"from":"bash"}' >> "$log"
            echo 'plain words' >> "$log"
            printf '\n{"$base64":"AP8="}\r\n' >> "$log"
            touch "$lane/completed"
            """);
        Assert.That(script.Code, Is.Zero, script.Errors);
        Assert.That(await Watchdog.WaitAsync(waiting), Is.True);
        Assert.That(Receive(receiver), Is.EqualTo("{\"from\":\"bash\"}"u8.ToArray()));
        Assert.That(Receive(receiver), Is.EqualTo("plain words"u8.ToArray()));
        Assert.That(receiver.IsCompleted, Is.False);
        Assert.That(Receive(receiver), Is.EqualTo(new byte[] { 0, 255 }));
        Assert.That(receiver.IsCompleted, Is.True);
        Assert.That(Encoding.UTF8.GetString(File.ReadAllBytes(Path.Combine(_workspace.Directory, "streams/frames/lanes/script/read"))),
            Does.Match("^([0-9]{20}) \\1\n$"));
    }

    [Test]
    public void Tail_follows_a_log()
    {
        using MessageSender sender = _workspace.Transport.OpenSender("frames");
        sender.TrySend("1"u8);
        using Process tail = Shell.Start(_workspace.Directory, "exec tail -n +1 -f streams/frames/lanes/0/00000000000000000000.jsonl");
        Assert.That(tail.StandardOutput.ReadLine(), Is.EqualTo("1"));
        sender.TrySend("{\"two\":2}"u8);
        Assert.That(tail.StandardOutput.ReadLine(), Is.EqualTo("{\"two\":2}"));
        tail.Kill();
        tail.WaitForExit();
    }

    private static byte[] Receive(MessageReceiver receiver)
    {
        Assert.That(receiver.TryReceive(out ReadLease lease), Is.True);
        byte[] bytes = lease.Bytes.ToArray();
        lease.Dispose();
        return bytes;
    }
}
