using System.Diagnostics;

namespace Otto.Tools.Tests;

// otto send and otto recv in pipes of a shell, over each transport that has streams.

internal sealed class StreamToolTests : ToolTest
{
    [SetUp]
    public void MakePrivate() => File.SetUnixFileMode(Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

    [Test]
    public void Names_of_files_pass_unchanged_with_zero_bytes_between_them()
    {
        Result result = Bash("""
            mkdir -m 700 $OTTO_MMAP_DIR/d; cd $OTTO_MMAP_DIR/d
            printf '%s\0' -dash 'a b' $'line\nfeed' $'raw\xff' '' >names
            otto send s --null --end --transport mmap://$PWD <names
            otto recv s -0 --transport mmap://$PWD | cmp - names && echo same
            otto send s --null --raw --transport mmap://$PWD <names; echo $?
            """);
        Assert.That(result.Output, Is.EqualTo("same\n2\n"), result.ToString());
    }

    [TestCase("otto send s --raw --transport files://$OTTO_MMAP_DIR/d", 3_000_000)]
    [TestCase("otto send s --raw --transport fifo://$OTTO_MMAP_DIR/d", 3_000_000)]
    [TestCase("otto send s --raw --transport mmap://$OTTO_MMAP_DIR/d", 70_000_000)]
    [TestCase("otto queue send s - --dir $OTTO_MMAP_DIR/d", 70_000_000)]
    public void A_message_over_the_limit_is_code_5_with_advice_that_a_shell_can_follow(string command, int bytes)
    {
        Result result = Bash($"mkdir -m 700 $OTTO_MMAP_DIR/d; head -c {bytes} /dev/zero | {command} --timeout 5");
        Assert.That(result.Code, Is.EqualTo(5), result.ToString());
        Assert.That(result.Errors, Does.Match("exceeds the .*(use --transport mmap: on both sides, .*)?split .*, or send the name")
            .And.Not.Contain("raise"));
    }

    [Test]
    public void Lines_go_in_and_come_out_and_the_end_is_received([Values("mmap", "files", "uds")] string scheme)
    {
        Result result = Bash(
            $$"""
            export OTTO_TRANSPORT={{Address(scheme)}}
            otto recv lines > {{Folder}}/out & receiver=$!
            { printf 'one\ntwo\n'; seq 3 2000; printf 'last without an end'; } | otto send lines --end || exit 90
            wait $receiver || exit 91
            head -n 2 {{Folder}}/out; tail -n 1 {{Folder}}/out; wc -l < {{Folder}}/out
            """);
        Assert.That(result.ToString(), Is.EqualTo("exit 0\none\ntwo\nlast without an end\n2001\n\n"));
    }

    [Test]
    public void Lines_go_through_a_fifo_and_end_with_their_sender()
    {
        Result result = Bash(
            $$"""
            export OTTO_TRANSPORT={{Address("fifo")}}
            otto recv lines > {{Folder}}/out & receiver=$!
            seq 2000 | otto send lines || exit 90
            wait $receiver || exit 91
            tail -n 1 {{Folder}}/out; wc -l < {{Folder}}/out
            """);
        Assert.That(result.ToString(), Is.EqualTo("exit 0\n2000\n2000\n\n"));
    }

    [Test]
    public void A_picture_of_many_megabytes_goes_as_one_message()
    {
        Result result = Bash(
            $$"""
            export OTTO_TRANSPORT={{Address("mmap")}}
            head -c 5000000 /dev/urandom > {{Folder}}/picture
            otto send pictures --raw < {{Folder}}/picture && otto recv pictures --raw | cmp - {{Folder}}/picture && echo same
            """);
        Assert.That(result.ToString(), Is.EqualTo("exit 0\nsame\n\n"));
    }

    [Test]
    public void What_a_killed_receiver_had_not_printed_comes_to_the_next()
    {
        Result result = Bash(
            $$"""
            export OTTO_TRANSPORT={{Address("mmap")}}
            seq 10 | otto send lines --end || exit 90
            otto recv lines --count 4 | tail -n 1
            otto recv lines | head -n 1
            """);
        Assert.That(result.ToString(), Is.EqualTo("exit 0\n4\n5\n\n"));
    }

    [Test]
    public void A_sender_over_a_socket_stays_until_a_receiver_has_come()
    {
        Result result = Bash(
            $$"""
            export OTTO_TRANSPORT={{Address("uds")}}
            seq 3 | otto send lines --timeout 0.2; echo "exit $?"
            { seq 5; echo sent > {{Folder}}/read; } | otto send lines --end & sender=$!
            until [[ -s {{Folder}}/read ]]; do kill -0 $sender || exit 90; done
            otto recv lines && wait $sender
            """);
        Assert.That(
            result.ToString(),
            Is.EqualTo("exit 0\nexit 124\n1\n2\n3\n4\n5\n\notto: no receiver read what was sent within 0.2 s, and this transport keeps "
            + "no message without its sender\n"));
    }

    [Test]
    public void Waiting_ends_with_the_time_that_was_given()
    {
        Result result = Bash($"otto recv nothing --transport {Address("mmap")} --timeout 0.2");
        Assert.That(result.ToString(), Is.EqualTo("exit 124\n\notto: no message arrived within 0.2 s\n"));
    }

    [TestCase("otto recv lines --transport pigeon:", "there is no transport 'pigeon'; there are mmap")]
    [TestCase("otto recv 'a/b'", "a name is never a path")]
    [TestCase("otto recv lines --count 0", "--count must be 1 or more: '0'")]
    [TestCase("otto recv lines --timeout soon", "--timeout must be 0 to 1,000,000 seconds: 'soon'")]
    [TestCase("otto send", "CHANNEL is missing")]
    public void Mistakes_are_usage_errors_that_say_what_would_be_right(string script, string words)
    {
        Result result = Bash($"export OTTO_SHM_DIR={Folder}; {script} < /dev/null");
        Assert.That(result.Code, Is.EqualTo(2), result.ToString());
        Assert.That(result.Errors, Does.Contain(words));
    }

    private string Address(string scheme) =>
        $"{scheme}://{Folder}{(scheme == "uds" ? "/otto.sock" : scheme == "mmap" ? "" : "/" + scheme)}";
}
