using Otto.Ipc.Conformance;

namespace Otto.Ipc.Files.Tests.Streams;

// Whatever lies where a stream should: a clear error that says which file and what to do.

[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class InvalidStreamFileTests
{
    private static readonly FilesStreamOptions Options = new() { Capacity = 16 * 1024, MaxMessageBytes = 1000, MaxSenders = 2 };
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Stated_sizes_that_differ_from_the_streams_are_refused_with_both()
    {
        _workspace.Transport.OpenSender("frames", Options).Dispose();
        Assert.That(() => _workspace.Transport.OpenReceiver("frames", Options with { Capacity = 32 * 1024 }),
            Throws.ArgumentException.With.Message.Contains("32,768").And.Message.Contains("16,384"));
        using MessageSender sender = _workspace.Transport.OpenSender("frames");
        Assert.That(sender.MaxMessageBytes, Is.EqualTo(1000), "what is left out is the stream's own");
    }

    [Test]
    public void Sizes_that_do_not_fit_together_are_refused()
    {
        Assert.That(() => _workspace.Transport.OpenSender("frames", new FilesStreamOptions { Capacity = 4096, MaxMessageBytes = 4096 }),
            Throws.ArgumentException.With.Message.Contains("4,096").And.Message.Contains("5,4"));
        Assert.That(() => _workspace.Transport.OpenSender("frames", new FilesStreamOptions { Capacity = 1000 }),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("1,000"));
        using MessageSender sender = _workspace.Transport.OpenSender("frames", new FilesStreamOptions { Capacity = 4096 });
        Assert.That(sender.MaxMessageBytes, Is.InRange(2900, 3100));
    }

    [TestCase("")]
    [TestCase("garbage")]
    [TestCase("{\"capacity\":16384}")]
    [TestCase("{\"capacity\":-1,\"maxMessageBytes\":1,\"maxSenders\":1}")]
    [TestCase("{\"capacity\":\"many\",\"maxMessageBytes\":1,\"maxSenders\":1}")]
    public void A_settings_file_that_holds_no_settings_is_refused(string text)
    {
        _workspace.Transport.OpenSender("frames", Options).Dispose();
        string path = Path.Combine(_workspace.Directory, "streams/frames/stream.json");
        File.WriteAllText(path, text);
        Assert.That(() => _workspace.Transport.OpenSender("frames"), Throws.TypeOf<CorruptSegmentException>().With.Message.Contains(path));
    }

    [Test]
    public void A_line_longer_than_any_message_is_refused_and_stays([Values] bool finished)
    {
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames", Options);
        using MessageSender sender = _workspace.Transport.OpenSender("frames", Options);
        sender.TrySend("1"u8);
        File.AppendAllText(Log(), new string('x', 5_000_000) + (finished ? "\n" : ""));
        receiver.TryReceive(out ReadLease lease);
        lease.Dispose();
        for (int i = 0; i < 2; i++)
            Assert.That(() => receiver.TryReceive(out _),
                Throws.TypeOf<CorruptSegmentException>().With.Message.Contains("jsonl").And.Message.Contains("1,351"));
    }

    [TestCase("garbage")]
    [TestCase("1")]
    [TestCase("00000000000000000001 00000000000000000002\n")]
    [TestCase("99999999999999999999 99999999999999999999\n")]
    public void A_read_position_that_is_none_is_refused(string text)
    {
        using (MessageSender sender = _workspace.Transport.OpenSender("frames", Options)) sender.TrySend("1"u8);
        File.WriteAllText(Path.Combine(Path.GetDirectoryName(Log())!, "read"), text);
        Assert.That(() => _workspace.Transport.OpenReceiver("frames", Options),
            Throws.TypeOf<CorruptSegmentException>().With.Message.Contains("read"));
    }

    [Test]
    public void A_read_position_beyond_the_log_is_refused_with_both_numbers()
    {
        using (MessageSender sender = _workspace.Transport.OpenSender("frames", Options)) sender.TrySend("1"u8);
        string read = Path.Combine(Path.GetDirectoryName(Log())!, "read");
        File.WriteAllText(read, "00000000000000123456 00000000000000123456\n");
        Assert.That(() => _workspace.Transport.OpenReceiver("frames", Options),
            Throws.TypeOf<CorruptSegmentException>().With.Message.Contains("123,456").And.Message.Contains("ends at 2"));
        // The way out that the message names.
        File.Delete(read);
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames", Options);
        Assert.That(receiver.TryReceive(out _), Is.True);
    }

    [Test]
    public void A_missing_piece_of_the_log_is_reported_and_not_skipped()
    {
        using (MessageSender sender = _workspace.Transport.OpenSender("frames", Options))
        {
            for (int i = 0; i < 12; i++) Assert.That(sender.TrySend(new byte[900]), Is.True);
        }

        string[] pieces = Directory.GetFiles(Path.GetDirectoryName(Log())!, "*.jsonl");
        Assert.That(pieces, Has.Length.GreaterThan(1));
        File.Delete(pieces.Min()!);
        Assert.That(() => _workspace.Transport.OpenReceiver("frames", Options),
            Throws.TypeOf<CorruptSegmentException>().With.Message.Contains("a piece is missing"));
    }

    [Test]
    public void Links_are_not_followed()
    {
        using (MessageSender sender = _workspace.Transport.OpenSender("frames", Options)) sender.TrySend("1"u8);
        string log = Log(), lane = Path.GetDirectoryName(log)!, elsewhere = Path.Combine(_workspace.Directory, "elsewhere");
        File.Move(log, elsewhere);
        File.CreateSymbolicLink(log, elsewhere);
        Assert.That(() => _workspace.Transport.OpenSender("frames", Options),
            Throws.TypeOf<UnauthorizedAccessException>().With.Message.Contains("symbolic link"));
        Assert.That(() => _workspace.Transport.OpenReceiver("frames", Options), Throws.TypeOf<UnauthorizedAccessException>());
        Assert.That(File.ReadAllText(elsewhere), Is.EqualTo("1\n"));
        File.Delete(log);
        Directory.CreateSymbolicLink(Path.Combine(Path.GetDirectoryName(lane)!, "linked"), lane);
        Assert.That(() => _workspace.Transport.OpenReceiver("frames", Options),
            Throws.TypeOf<UnauthorizedAccessException>().With.Message.Contains("symbolic link"));
    }

    private string Log() => Path.Combine(_workspace.Directory, "streams/frames/lanes/0/00000000000000000000.jsonl");
}
