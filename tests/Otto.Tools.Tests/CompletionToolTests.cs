using System.Net.Sockets;

namespace Otto.Tools.Tests;

// otto completion: what a shell suggests, asked directly and by pressing Tab in real shells.

internal sealed class CompletionToolTests : ToolTest
{
    // Types into an interactive shell: loads the script, types a line with its Tabs, and lets the shell print the words that came of it.
    private const string Typist =
        """
        import os, pty, select, sys, time
        load, typed, line = sys.argv[1:4]
        shell = sys.argv[4:]
        child, terminal = pty.fork()
        if child == 0:
            os.environ["TERM"] = "dumb"
            os.execvp(shell[0], shell)
        seen = b""
        def until(text):
            global seen
            end = time.monotonic() + 30
            while text.encode() not in seen:
                if time.monotonic() > end:
                    sys.exit("waited for %r and saw %r" % (text, seen))
                if select.select([terminal], [], [], 0.1)[0]:
                    seen += os.read(terminal, 65536)
        os.write(terminal, (load + "; echo loa''ded\n").encode())
        until("loaded")
        # Ctrl-A: the beginning of the line.
        os.write(terminal, typed.encode() + b"\x01printf '<%s>' \n")
        until("".join("<%s>" % word for word in line.split()))
        os.close(terminal)
        os.waitpid(child, 0)
        print("completed")
        """;

    private const string BashLoad = "source <(otto completion bash)";
    private const string ZshLoad = "autoload -Uz compinit; compinit -u -D; bindkey -e; source <(otto completion zsh)";

    private const string Channels =
        """
        export OTTO_SHM_DIR=$OTTO_MMAP_DIR/segments; mkdir -m 700 "$OTTO_SHM_DIR"
        echo a | otto queue send photos >/dev/null; echo b | otto queue send sounds >/dev/null; echo c | otto send photons

        """;

    [TestCase("otto que", "queue")]
    [TestCase("otto completion ", "bash zsh")]
    [TestCase("otto queue re", "requeue")]
    [TestCase("otto queue stat ", "photos sounds")]
    [TestCase("otto queue send ph", "photos")]
    [TestCase("otto queue stat --dir /none/none ", "")]
    [TestCase("otto recv ", "photons")]
    [TestCase("otto recv --transport files: ", "")]
    [TestCase("otto ipc stat pho", "photons photos")]
    [TestCase("otto queue route photos --du", "--durability")]
    [TestCase("otto queue route photos --durability ", "cluster none process")]
    [TestCase("otto send x --transport f", "fifo: files:")]
    [TestCase("otto queue work photos -- ph", "")]
    [TestCase("otto no such command ", "")]
    [TestCase("otto get ", "")]
    [TestCase("otto \"unfinished ", "")]
    public void A_line_may_continue_with_what_exists(string line, string words)
    {
        Result result = Bash($"{Channels}export OTTO_SOCKET=$OTTO_MMAP_DIR/none; line='{line}'; otto \"[suggest:${{#line}}]\" \"$line\"");
        Assert.That((result.Code, result.Output.TrimEnd().Replace('\n', ' '), result.Errors), Is.EqualTo((0, words, "")));
    }

    [Test]
    public void Only_what_is_before_the_cursor_counts() =>
        Assert.That(Bash("otto '[suggest:8]' 'otto comp --whatever'").ToString(), Is.EqualTo("exit 0\ncompletion\n\n"));

    [Test]
    public void The_keys_of_a_server_are_suggested()
    {
        Result result = Bash("""
            export OTTO_SOCKET=$OTTO_MMAP_DIR/socket
            coproc otto serve; read -r _ <&"${COPROC[0]}"
            otto set build.step 1; otto set build.of 2; otto set test.step 3
            otto '[suggest:11]' 'otto get bu'
            otto '[suggest:9]' 'otto del '
            kill $COPROC_PID; wait $COPROC_PID
            """);
        Assert.That(result.Output, Is.EqualTo("build.of\nbuild.step\nbuild.of\nbuild.step\ntest.step\n"), result.ToString());
    }

    // Without a limit the client would wait for as long as the test lets it.
    [Test]
    public void A_server_that_does_not_answer_is_not_waited_for()
    {
        string path = Path.Combine(Folder, "socket");
        using var silent = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        silent.Bind(new UnixDomainSocketEndPoint(path));
        silent.Listen();
        string script = $"OTTO_COMPLETION_MS=200 OTTO_SOCKET='{path}' otto '[suggest:9]' 'otto get '";
        Assert.That(Bash(script).ToString(), Is.EqualTo("exit 0\n\n"));
    }

    [TestCase("otto que\tst\tph\t", "otto queue stat photos")]
    [TestCase("otto queue route photos --dur\tcl\t", "otto queue route photos --durability cluster")]
    [TestCase("otto send photons --transport mm\t", "otto send photons --transport mmap:")]
    public void Bash_completes_a_line(string typed, string line) => Completes(BashLoad, typed, line, "bash", "--norc", "--noprofile", "-i");

    [TestCase("otto que\tst\tph\t", "otto queue stat photos")]
    [TestCase("otto queue route photos --dur\tcl\t", "otto queue route photos --durability cluster")]
    [TestCase("otto send photons --transport mm\t", "otto send photons --transport mmap:")]
    public void Zsh_completes_a_line(string typed, string line)
    {
        if (Bash("command -v zsh").Code != 0) Assert.Ignore("zsh is not installed: apt-get install zsh");
        Completes(ZshLoad, typed, line, "zsh", "-f", "-i");
    }

    [Test]
    public void A_shell_that_is_not_known_is_refused() =>
        Assert.That(Bash("otto completion fish").ToString(), Is.EqualTo("exit 2\n\notto: SHELL must be bash or zsh: 'fish'\n"));

    private void Completes(string load, string typed, string line, params string[] shell)
    {
        string script = Path.Combine(Folder, "typist.py");
        File.WriteAllText(script, Typist);
        string arguments = string.Join(' ', new[] { load, typed, line }.Concat(shell).Select(argument => $"'{argument}'"));
        Result result = Bash($"{Channels}exec python3 '{script}' {arguments}");
        Assert.That(result.ToString(), Is.EqualTo("exit 0\ncompleted\n\n"));
    }
}
