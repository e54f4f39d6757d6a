using Otto.Ipc.Conformance;

namespace Otto.Ipc.Fifo.Tests.Streams;

// What lies on the disk: made for this user alone, checked before it is trusted, agreed on by all ends, and
// deleted only when nobody has it.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class FifoFileTests
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void A_directory_and_a_FIFO_are_made_for_this_user_alone_whatever_the_umask()
    {
        string directory = Path.Combine(_workspace.Directory, "made");
        new FifoTransport(new FifoTransportOptions { Directory = directory }).OpenReceiver("words").Dispose();
        Assert.That(File.GetUnixFileMode(directory), Is.EqualTo(OwnerOnly | UnixFileMode.UserExecute));
        Assert.That(File.GetUnixFileMode(Path.Combine(directory, "words.fifo")), Is.EqualTo(OwnerOnly));
        Assert.That(File.GetUnixFileMode(Path.Combine(directory, "words.fifo.lock")), Is.EqualTo(OwnerOnly));
        Assert.That(_workspace.Bash("test -p made/words.fifo && echo yes").Output(), Is.EqualTo("yes\n"));
    }

    [TestCase("mkfifo -m 600 else; ln -s else words.fifo", typeof(IOException), "symbolic link")]
    [TestCase("touch words.fifo", typeof(IOException), "not a FIFO")]
    [TestCase("mkdir words.fifo", typeof(IOException), "not a FIFO")]
    [TestCase("mkfifo -m 620 words.fifo", typeof(UnauthorizedAccessException), "mode 620")]
    [TestCase("mkfifo -m 604 words.fifo", typeof(UnauthorizedAccessException), "chmod 600")]
    [TestCase("chmod 770 .", typeof(UnauthorizedAccessException), "mode 770")]
    [TestCase("touch else; ln -s else words.fifo.lock", typeof(IOException), "symbolic link")]
    [TestCase("mkfifo words.fifo.lock", typeof(UnauthorizedAccessException), "not a regular file")]
    [TestCase("umask 0; touch words.fifo.lock", typeof(UnauthorizedAccessException), "mode 666")]
    [TestCase("mkfifo -m 600 words.fifo; chown 12345 words.fifo", typeof(UnauthorizedAccessException), "belongs to uid 12345")]
    public void What_is_not_this_users_alone_is_refused(string prepare, Type refusal, string words)
    {
        if (prepare.Contains("chown", StringComparison.Ordinal) && Environment.UserName != "root")
            Assert.Ignore("only root can give a file away");
        _workspace.Bash(prepare).Output();
        Assert.That(() => _workspace.Transport.OpenReceiver("words"), Throws.InstanceOf(refusal).With.Message.Contains(words));
        Assert.That(() => _workspace.Transport.OpenSender("words"), Throws.InstanceOf(refusal).With.Message.Contains(words));
    }

    [Test]
    public void A_directory_that_is_a_link_is_refused()
    {
        _workspace.Bash("mkdir -m 700 else; ln -s else link").Output();
        var transport = new FifoTransport(new FifoTransportOptions { Directory = Path.Combine(_workspace.Directory, "link") });
        Assert.That(() => transport.OpenReceiver("words"),
            Throws.InstanceOf<IOException>().With.Message.Contains("links are not followed"));
    }

    [Test]
    public void Ends_that_state_different_rules_are_refused_with_both()
    {
        using (_workspace.Transport.OpenReceiver("words", new FifoStreamOptions { MaxMessageBytes = 1000 }))
        {
            Assert.That(() => _workspace.Transport.OpenSender("words", new FifoStreamOptions { Framing = FifoFraming.LengthPrefixed }),
                Throws.ArgumentException.With.Message.Contains("LengthPrefixed differs from Lines"));
            Assert.That(() => _workspace.Transport.OpenSender("words", new FifoStreamOptions { MaxMessageBytes = 2000 }),
                Throws.ArgumentException.With.Message.Contains("2,000 differs from 1,000"));
            using MessageSender agrees = _workspace.Transport.OpenSender("words");
            Assert.That(agrees.MaxMessageBytes, Is.EqualTo(1000), "what is not stated is the stream's own");
        }

        // Nobody has it open: the next one decides.
        using MessageSender next = _workspace.Transport.OpenSender("words", new FifoStreamOptions { Framing = FifoFraming.LengthPrefixed });
        Assert.That(next.MaxMessageBytes, Is.EqualTo(FifoStreamOptions.DefaultMaxMessageBytes));
    }

    [Test]
    public async Task Ends_that_open_all_at_once_agree()
    {
        for (int round = 0; round < 30; round++)
        {
            string name = $"words-{round}";
            Task<int>[] opening = [.. Enumerable.Range(0, 4).Select(i => Watchdog.RunOnThread(() =>
            {
                using MessageSender sender =
                    _workspace.Transport.OpenSender(name, i == 0 ? new FifoStreamOptions { MaxMessageBytes = 1000 + round } : null);
                return sender.MaxMessageBytes;
            }))];
            // One that states a limit is refused, where one that did not was first and still has it open.
            try
            {
                await Watchdog.WaitAsync(Task.WhenAll(opening));
            }
            catch (ArgumentException)
            {
            }

            foreach (Task<int> one in opening.Where(one => one.IsCompletedSuccessfully))
                Assert.That(one.Result, Is.AnyOf(1000 + round, FifoStreamOptions.DefaultMaxMessageBytes));
            Assert.That(opening.Count(one => one.IsFaulted), Is.LessThanOrEqualTo(1));
        }
    }

    [Test]
    public void A_limit_that_no_pipe_can_hold_is_refused_with_the_numbers()
    {
        Assert.That(() => _workspace.Transport.OpenReceiver("words", new FifoStreamOptions { MaxMessageBytes = 1 << 30 }),
            Throws.InstanceOf<IOException>().With.Message.Contains("1,073,741,824").And.Message.Contains("pipe-max-size"));
        // A sender needs no such pipe: a reader in another language takes a message in pieces.
        _workspace.Transport.OpenSender("other", new FifoStreamOptions { MaxMessageBytes = 1 << 30 }).Dispose();
    }

    [TestCase(0, 4096, 1.0, "max message bytes must be 1 to 1,073,741,824: 0")]
    [TestCase(1, 100, 1.0, "pipe bytes must be 4,096 to 1,073,741,824: 100")]
    [TestCase(1, 4096, -1.0, "linger must be 0 to 1 hour")]
    public void Options_out_of_bounds_are_refused_with_the_numbers(int limit, int pipe, double linger, string words)
    {
        var options = new FifoStreamOptions { MaxMessageBytes = limit, PipeBytes = pipe, Linger = TimeSpan.FromSeconds(linger) };
        Assert.That(() => _workspace.Transport.OpenSender("words", options),
            Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains(words));
        Assert.That(() => new FifoTransport(new FifoTransportOptions { Stream = options }),
            Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void A_stream_that_is_open_is_not_removed()
    {
        Assert.That(_workspace.Transport.RemoveStream("words"), Is.False, "there is none");
        using (_workspace.Transport.OpenSender("words"))
            Assert.That(() => _workspace.Transport.RemoveStream("words"),
                Throws.InstanceOf<IOException>().With.Message.Contains("was not removed"));
        using (_workspace.Transport.OpenReceiver("words"))
            Assert.That(() => _workspace.Transport.RemoveStream("words"),
                Throws.InstanceOf<IOException>().With.Message.Contains("was not removed"));
        Assert.That(_workspace.Transport.RemoveStream("words"), Is.True);
        Assert.That(Directory.GetFileSystemEntries(_workspace.Directory), Is.Empty);
    }

    [Test]
    public void A_shell_that_waits_at_a_stream_is_let_go_when_it_is_removed()
    {
        _workspace.Transport.OpenSender("words").Dispose();
        _workspace.Transport.OpenSender("other").Dispose();
        ExternalProgram reader = _workspace.Bash("cat words.fifo"), writer = _workspace.Bash("echo lost > other.fifo");
        Watchdog.Until(() => reader.IsWaitingInOpen && writer.IsWaitingInOpen, "both to wait in open");
        Assert.That(_workspace.Transport.RemoveStream("words") && _workspace.Transport.RemoveStream("other"), Is.True);
        Assert.That(reader.Output(), Is.Empty);
        Assert.That(writer.AwaitExit(), Is.EqualTo(128 + ExternalProgram.SigPipe).Or.Zero, "its line was for nobody");
    }

    [Test]
    public void A_FIFO_made_by_another_program_is_opened_by_its_path()
    {
        string path = Path.Combine(_workspace.Directory, "mine");
        Assert.That(() => _workspace.Transport.OpenReceiverAt(path), Throws.InstanceOf<FileNotFoundException>());
        _workspace.Bash("mkfifo -m 600 mine").Output();
        using MessageReceiver receiver = _workspace.Transport.OpenReceiverAt(path);
        using MessageSender sender = _workspace.Transport.OpenSenderAt(path);
        sender.TrySend("by its path"u8);
        Assert.That(receiver.Next(), Is.EqualTo("by its path"));
    }

    [Test]
    public void Environment_and_options_choose_the_directory()
    {
        Assert.That(new FifoTransport(new FifoTransportOptions { Directory = "/some/where" }).PathOf("x"),
            Is.EqualTo("/some/where/x.fifo"));
        using PeerProcess peer = _workspace.Peer("fifo-receive", "elsewhere", "100", "block");
        peer.WaitFor("ready");
        Assert.That(File.Exists(_workspace.PathOf("elsewhere")), Is.True, "OTTO_FIFO_DIR names it");
        peer.Kill();
    }
}
