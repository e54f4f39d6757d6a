using System.Text.Json;
using Otto.Ipc;
using Otto.Ipc.Mmap;

namespace Otto.Tools.Tests;

// otto ipc as people and scripts use it, on segments that the test itself holds open.

internal sealed class IpcToolTests : ToolTest
{
    private MmapTransport Transport => new(new MmapTransportOptions { Directory = Folder });

    [SetUp]
    public void MakePrivate() => File.SetUnixFileMode(Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

    [Test]
    public void Ls_shows_a_line_a_segment()
    {
        using WorkQueue queue = Transport.OpenQueue("jobs");
        queue.TrySend("x"u8);
        using MessageSender sender = Transport.OpenSender("frames");
        Result result = Ipc("ls");
        Assert.That(result.Code, Is.Zero, result.ToString());
        string[] lines = result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        Assert.That(lines[0], Does.Match("name +shape +size +owner +participants +depth +oldest"));
        Assert.That(lines.Single(l => l.StartsWith("jobs", StringComparison.Ordinal)),
            Does.Match($@"queue +[\d.]+ [KM]iB +\d+ +{Environment.ProcessId} sends +1 ready, 0 leased, 0 dead, 1,023 of 1,024 slots free "
                + @"+ready [\d.]+ m?s, lease -"));
        Assert.That(lines.Single(l => l.StartsWith("frames", StringComparison.Ordinal)),
            Does.Match(@"stream +4.1 MiB .* 0 B unread in 1 of 4 lanes of 1 MiB"));
    }

    [Test]
    public void Ls_in_an_empty_directory_reports_it_on_stderr_and_succeeds()
    {
        Assert.That(Ipc("ls").ToString(), Is.EqualTo($"exit 0\n\notto: no segments in {Folder}\n"));
        Assert.That(Ipc("ls", "--json").Output, Is.Empty);
        Assert.That(Run("otto", ["ipc", "ls", "--dir", Path.Combine(Folder, "none")]).Code, Is.Zero);
        Assert.That(Directory.Exists(Path.Combine(Folder, "none")), Is.False, "looking makes nothing");
    }

    [Test]
    public void Rm_removes_the_segments_of_one_name_unless_they_are_open()
    {
        using (WorkQueue other = Transport.OpenQueue("other")) other.TrySend("x"u8);
        using (WorkQueue queue = Transport.OpenQueue("jobs"))
        {
            queue.TrySend("x"u8);
            Result open = Ipc("rm", "jobs");
            Assert.That(open.Code, Is.EqualTo(4));
            Assert.That(open.Output, Does.Contain("left jobs.queue"));
        }

        Result removed = Ipc("rm", "jobs");
        Assert.That((removed.Code, removed.Errors), Is.EqualTo((0, "")));
        Assert.That(removed.Output, Does.Contain("removed jobs.queue").And.Contain("1 ready"));
        Assert.That(Ipc("rm", "jobs").Code, Is.EqualTo(3));
        Assert.That(Directory.GetFiles(Folder).Select(Path.GetFileName), Is.EqualTo(new[] { "other.queue" }));
    }

    [Test]
    public void Json_gives_one_object_a_line()
    {
        using WorkQueue queue = Transport.OpenQueue("jobs");
        queue.TrySend("x"u8);
        queue.TryLease(out WorkLease lease);
        using MessagePublisher publisher = Transport.OpenPublisher("news");
        publisher.TryPublish("y"u8);
        JsonElement[] lines = Lines(Ipc("ls", "--json"));
        Assert.That(lines.Select(l => l.GetProperty("name").GetString()), Is.EqualTo(new[] { "jobs", "news" }));
        JsonElement jobs = lines[0], depth = jobs.GetProperty("depth"), me = jobs.GetProperty("participants")[0];
        Assert.That((jobs.GetProperty("shape").GetString(), jobs.GetProperty("condition").GetString(), jobs.GetProperty("inUse")
            .GetBoolean()), Is.EqualTo(("queue", "ready", true)));
        Assert.That((me.GetProperty("pid").GetInt32(), me.GetProperty("role").GetString(), me.GetProperty("alive").GetBoolean()),
            Is.EqualTo((Environment.ProcessId, "sends", true)));
        Assert.That((depth.GetProperty("ready").GetInt32(), depth.GetProperty("leased").GetInt32()), Is.EqualTo((0, 1)));
        Assert.That(depth.GetProperty("oldestLeaseSeconds").GetDouble(), Is.GreaterThanOrEqualTo(0));
        Assert.That(lines[1].GetProperty("depth").GetProperty("published").GetInt64(), Is.EqualTo(1));
        lease.Complete();
    }

    [Test]
    public void Stat_shows_rates_and_each_participant_and_lane()
    {
        using MessageSender sender = Transport.OpenSender("frames", new MmapStreamOptions { Capacity = 4096 });
        using MessageReceiver receiver = Transport.OpenReceiver("frames");
        sender.TrySend(new byte[100]);
        Result result = Ipc("stat", "frames", "--interval", "0.05");
        Assert.That(result.Code, Is.Zero, result.ToString());
        foreach (string expected in (string[])["frames, a stream", "112 B unread in 1 of 4 lanes of 4 KiB", "lane 0", "its sender alive",
            "receiver", "participant 1", $"pid {Environment.ProcessId}, receives, alive", "0 B/s in, 0 B/s out"])
            Assert.That(result.Output, Does.Contain(expected));
        JsonElement rates = Lines(Ipc("stat", "frames", "--interval", "0.05", "--json"))[0].GetProperty("rates");
        Assert.That((rates.GetProperty("unit").GetString(), rates.GetProperty("enteredPerSecond").GetDouble()), Is.EqualTo(("bytes", 0.0)));
        Assert.That(rates.GetProperty("seconds").GetDouble(), Is.GreaterThanOrEqualTo(0.05));
        Assert.That(Lines(Ipc("stat", "frames.stream", "--interval", "0", "--json"))[0].TryGetProperty("rates", out _), Is.False);
    }

    [Test]
    public void Clean_removes_what_no_process_holds_and_reports_why_the_rest_stays()
    {
        using WorkQueue held = Transport.OpenQueue("held");
        using (WorkQueue undone = Transport.OpenQueue("undone")) undone.TrySend("x"u8);
        Transport.OpenQueue("free").Dispose();
        Result dry = Ipc("clean", "--dry-run");
        Assert.That((dry.Code, Directory.GetFiles(Folder).Length), Is.EqualTo((0, 3)));
        Assert.That(dry.Output,
            Does.Match(@"would remove free\.queue \([\d.]+ [KM]iB\): no process has it open, and it holds no pending work\n"));
        Result result = Ipc("clean");
        Assert.That(result.Code, Is.Zero, result.ToString());
        Assert.That(result.Output,
            Does.Match(@"removed free\.queue").And.Match(
                $@"left held\.queue \([\d.]+ [KM]iB\): in use by {Environment.ProcessId} \(sends\)\n").And.Match(
                    @"left undone\.queue .*: it holds pending messages: 1 ready"));
        JsonElement[] lines = Lines(Ipc("clean", "--all", "--json"));
        Assert.That(lines.Select(l => (l.GetProperty("name").GetString(), l.GetProperty("removed").GetBoolean())),
            Is.EqualTo(new[] { ("held", false), ("undone", true) }));
        Assert.That(Directory.GetFiles(Folder), Has.Length.EqualTo(1));
    }

    [TestCase("ipc ls", 0)]
    [TestCase("ipc stat", 2)]
    [TestCase("ipc stat none", 3)]
    [TestCase("ipc ls --bogus", 2)]
    [TestCase("ipc ls --interval soon", 2)]
    [TestCase("ipc stat none --interval 4000", 2)]
    [TestCase("ipc clean extra", 2)]
    [TestCase("ipc ls --dir /etc/passwd", 1)]
    [TestCase("ipc", 2)]
    public void The_exit_code_shows_what_happened(string command, int code)
    {
        Result result = Bash($"export OTTO_SHM_DIR=$OTTO_MMAP_DIR; otto {command}");
        Assert.That(result.Code, Is.EqualTo(code), result.ToString());
    }

    [Test]
    public void A_directory_that_others_can_write_to_is_denied()
    {
        Result result = Bash("chmod 770 $OTTO_MMAP_DIR; OTTO_SHM_DIR=$OTTO_MMAP_DIR otto ipc ls");
        Assert.That((result.Code, result.Output), Is.EqualTo((4, "")), result.ToString());
        Assert.That(result.Errors, Does.Contain("770"));
    }

    [TestCase("ls")]
    [TestCase("stat")]
    [TestCase("clean")]
    public void Help_shows_an_example(string command)
    {
        Assert.That(Run("otto", ["ipc", command, "--help"]).Output, Does.Contain("Example:").And.Contain($"otto ipc {command}"));
        Assert.That(Run("otto", ["ipc", "--help"]).Output, Does.Contain(command));
    }

    private Result Ipc(params string[] arguments) => Run("otto", ["ipc", .. arguments, "--dir", Folder]);

    private static JsonElement[] Lines(Result result)
    {
        Assert.That(result.Code, Is.Zero, result.ToString());
        return [.. result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement)];
    }
}
