using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Otto.Tools.Tests;

// otto pipe with the programs that people use it with.

internal sealed partial class PipeToolTests : ToolTest
{
    private const string ReadLines = """bash -c 'while read -r line; do echo "got $line"; done < "$OTTO_INPUT_PIPE"; echo end'""";

    [TearDown]
    public void NothingIsLeft() => Assert.That(Directory.GetFileSystemEntries(Folder), Is.Empty, "FIFOs, or their directory");

    [Test]
    public void Two_echos_in_a_row_reach_one_loop_which_ends_with_the_producer()
    {
        Result result = Pipe($"""otto pipe -- bash -c 'echo one > "$OTTO_OUTPUT_PIPE"; echo two > "$OTTO_OUTPUT_PIPE"' ::: {ReadLines}""");
        Assert.That((result.Code, result.Output, result.Errors), Is.EqualTo((0, "got one\ngot two\nend\n", "")));
    }

    [Test]
    public void Yes_with_a_consumer_that_leaves_after_ten_lines_ends_quietly()
    {
        Result result = Pipe(
            """
            otto pipe -- bash -c 'yes > "$OTTO_OUTPUT_PIPE"' \
                     ::: bash -c 'for i in {1..10}; do read -r line; echo "$line"; done < "$OTTO_INPUT_PIPE"'
            """);
        Assert.That((result.Code, result.Output, result.Errors), Is.EqualTo((0, string.Concat(Enumerable.Repeat("y\n", 10)), "")));
    }

    [Test]
    public void Python_programs_that_just_open_the_paths_work()
    {
        Result result = Pipe("""
            otto pipe -- python3 -c 'import os
            with open(os.environ["OTTO_OUTPUT_PIPE"], "w") as pipe:
                for i in range(100000): print(i, file=pipe)' ::: python3 -c 'import os
            print(sum(int(line) for line in open(os.environ["OTTO_INPUT_PIPE"])))'
            """);
        Assert.That((result.Code, result.Output, result.Errors), Is.EqualTo((0, "4999950000\n", "")));
    }

    [Test]
    public void A_producer_that_ends_before_the_consumer_has_opened_loses_nothing()
    {
        // The consumer opens its pipe only when the producer's process is gone.
        Result result = Pipe(
            """
            otto pipe -- bash -c 'echo $$ > pid; seq 5000 > "$OTTO_OUTPUT_PIPE"' ::: bash -c '
                until [ -s pid ]; do :; done
                while kill -0 $(cat pid) 2> /dev/null; do :; done
                rm pid
                tail -n 1 "$OTTO_INPUT_PIPE"'
            """);
        Assert.That((result.Code, result.Output, result.Errors), Is.EqualTo((0, "5000\n", "")));
    }

    [Test]
    public void A_hundred_megabytes_pass_unchanged()
    {
        Result result = Pipe(
            """
            otto pipe -- bash -c 'head -c 100000000 /dev/urandom | tee "$OTTO_OUTPUT_PIPE" | md5sum' \
                     ::: bash -c 'md5sum < "$OTTO_INPUT_PIPE"'
            """);
        Assert.That(result.Code, Is.Zero, result.ToString());
        string[] sums = result.Output.TrimEnd().Split('\n');
        Assert.That(sums, Has.Length.EqualTo(2));
        Assert.That(sums[0], Is.EqualTo(sums[1]));
    }

    [TestCase("exit 3", "exit 0", 3)]
    [TestCase("exit 3", "exit 4", 4)]
    [TestCase("exit 0", "exit 4", 4)]
    [TestCase("kill -TERM $$", "cat $OTTO_INPUT_PIPE", 143)]
    [TestCase("yes > $OTTO_OUTPUT_PIPE", "exit 0", 0)]
    [TestCase("yes > $OTTO_OUTPUT_PIPE", "kill -KILL $$", 137)]
    [TestCase("kill -PIPE $$", "cat $OTTO_INPUT_PIPE", 141)]
    public void The_exit_code_is_that_of_the_rightmost_command_that_failed(string producer, string consumer, int code)
    {
        Result result = Pipe($"otto pipe -- bash -c '{producer}' ::: bash -c '{consumer}'");
        Assert.That(result.Code, Is.EqualTo(code), result.ToString());
        Assert.That(result.Errors, Is.Empty);
    }

    [TestCase("otto pipe", 2, "COMMANDS is missing")]
    [TestCase("otto pipe -- cat", 2, "exactly once, not 0 times")]
    [TestCase("otto pipe -- a ::: b ::: c", 2, "exactly once, not 2 times")]
    [TestCase("otto pipe -- ::: cat", 2, "a command is missing")]
    [TestCase("otto pipe -- a :+: ::: cat", 2, "a command is missing")]
    [TestCase("otto pipe echo -n x ::: cat", 2, "'-n'; put --")]
    [TestCase("otto pipe --frames words -- a ::: b", 2, "lines or length-prefixed: 'words'")]
    [TestCase("otto pipe -- no-such-program ::: cat", 127, "no program 'no-such-program' in PATH")]
    [TestCase("otto pipe -- echo ::: ./none", 127, "./none does not exist")]
    [TestCase("otto pipe -- echo ::: /etc/passwd", 126, "cannot be executed")]
    [TestCase("otto pipe -- echo ::: /etc", 126, "cannot be executed")]
    [TestCase("otto pipe --dir /etc/passwd -- echo ::: cat", 1, "not a directory")]
    public void What_cannot_be_started_is_said(string command, int code, string words)
    {
        Result result = Pipe(command);
        Assert.That(result.Code, Is.EqualTo(code), result.ToString());
        Assert.That(result.Errors, Does.Contain(words));
        Assert.That(result.Output, Is.Empty);
    }

    [Test]
    public void A_program_in_the_current_directory_is_not_taken_for_one_in_the_path()
    {
        Result result = Pipe(
            """
            printf '#!/bin/sh\necho wrong\n' > cat; chmod +x cat
            otto pipe -- bash -c 'echo right > "$OTTO_OUTPUT_PIPE"' ::: sh -c 'exec cat < "$OTTO_INPUT_PIPE"'
            rm cat
            """);
        Assert.That(result.Output, Is.EqualTo("right\n"));
    }

    [Test]
    public void Arguments_arrive_as_they_were_given()
    {
        Result result = Pipe(
            """
            otto pipe -- bash -c 'printf "%s\n" "$@" > "$OTTO_OUTPUT_PIPE"' bash 'a b' '' '*' -- --json @x '$HOME' \
                     ::: bash -c 'cat "$OTTO_INPUT_PIPE"'
            """);
        Assert.That((result.Code, result.Output), Is.EqualTo((0, "a b\n\n*\n--\n--json\n@x\n$HOME\n")), result.ToString());
    }

    [Test]
    public void A_side_gets_its_own_variable_and_leaves_the_others_as_it_was()
    {
        Result result = Pipe(
            """
            OTTO_INPUT_PIPE=outer otto pipe \
                -- bash -c 'echo "$OTTO_INPUT_PIPE"; test -p "$OTTO_OUTPUT_PIPE" && echo fifo' \
                ::: bash -c 'test -p "$OTTO_INPUT_PIPE" && cat "$OTTO_INPUT_PIPE"; echo "${OTTO_OUTPUT_PIPE-none}"' | sort
            """);
        Assert.That(result.Output, Is.EqualTo("fifo\nnone\nouter\n"));
    }

    [Test]
    public void A_chain_is_made_by_an_otto_pipe_as_the_consumer()
    {
        // One ::: is the outer one's, so the inner command stands in a shell's.
        Result result = Pipe("""
            inner='otto pipe -- bash -c "while read -r n; do echo \$((n * n)) > \"\$OTTO_OUTPUT_PIPE\"; done < \"\$OTTO_INPUT_PIPE\"" \
                ::: bash -c "paste -sd+ \"\$OTTO_INPUT_PIPE\""'
            otto pipe -- bash -c 'seq 3 > "$OTTO_OUTPUT_PIPE"' ::: bash -c "$inner"
            """);
        Assert.That((result.Code, result.Output, result.Errors), Is.EqualTo((0, "1+4+9\n", "")));
    }

    [Test]
    public void Several_producers_and_consumers_are_joined_with_whole_lines()
    {
        Result result = Pipe("""
            otto pipe -- bash -c 'seq -f "a %g" 2000 > "$OTTO_OUTPUT_PIPE"' :+: bash -c 'seq -f "b %g" 2000 > "$OTTO_OUTPUT_PIPE"' \
                     ::: bash -c 'sort "$OTTO_INPUT_PIPE" | md5sum' :+: bash -c 'sort "$OTTO_INPUT_PIPE" | md5sum'
            { seq -f "a %g" 2000; seq -f "b %g" 2000; } | sort | md5sum
            """);
        Assert.That(result.Code, Is.Zero, result.ToString());
        Assert.That(result.Output.TrimEnd().Split('\n').Distinct().Count(), Is.EqualTo(1));
        Assert.That(result.Output.TrimEnd().Split('\n'), Has.Length.EqualTo(3));
    }

    [Test]
    public void Large_lines_of_several_writers_of_one_producer_stay_whole_under_a_lock()
    {
        Result result = Pipe("""
            line() { printf '%s' "$1"; head -c 100000 /dev/zero | tr '\0' "$1"; echo; }
            export -f line
            otto pipe -- bash -c '
                for i in 1 2 3 4; do
                    (for n in 1 2 3 4 5; do flock "$OTTO_OUTPUT_PIPE.lock" bash -c "line $i > \$OTTO_OUTPUT_PIPE"; done) &
                done
                wait' ::: bash -c '
                while read -r line; do echo "${#line} $(tr -s "${line:0:1}" <<< "$line")"; done < "$OTTO_INPUT_PIPE" \
                    | sort | uniq -c | tr -s " "'
            """);
        Assert.That((result.Code, result.Output, result.Errors),
            Is.EqualTo((0, " 5 100001 1\n 5 100001 2\n 5 100001 3\n 5 100001 4\n", "")));
    }

    [Test]
    public void A_cut_frame_of_several_producers_is_said_and_is_a_failure()
    {
        Result result = Pipe(
            """
            otto pipe --frames length-prefixed -- bash -c 'printf "\5\0\0\0ab" > "$OTTO_OUTPUT_PIPE"' :+: true \
                     ::: bash -c 'wc -c < "$OTTO_INPUT_PIPE"'
            """);
        Assert.That((result.Code, result.Output), Is.EqualTo((1, "0\n")), result.ToString());
        Assert.That(result.Errors, Does.Match("otto: the last frame in .* is truncated: only 6 bytes of it arrived"));
    }

    [TestCase(15)]
    [TestCase(2)]
    [TestCase(1)]
    public void A_signal_reaches_both_sides_and_otto_stays_until_they_have_ended(int signal)
    {
        // Without a terminal nobody else tells the children.
        using Process process = Start("setsid", "bash", "-c", $$"""
            cd "$OTTO_MMAP_DIR"; export OTTO_FIFO_DIR=$PWD
            exec otto pipe -- bash -c 'trap "echo producer; exit 5" {{signal}}; : > a; while :; do sleep 0.01; done' \
                          ::: bash -c 'trap "echo consumer; exit 6" {{signal}}; : > b; while :; do sleep 0.01; done'
            """);
        WaitUntil(() => File.Exists(Path.Combine(Folder, "a")) && File.Exists(Path.Combine(Folder, "b")), "both to run");
        foreach (string file in (string[])["a", "b"]) File.Delete(Path.Combine(Folder, file));
        _ = Kill(process.Id, signal);
        Assert.That(process.WaitForExit(TimeSpan.FromSeconds(30)), Is.True);
        Assert.That(process.ExitCode, Is.EqualTo(6));
        Assert.That(process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries),
            Is.EquivalentTo(new[] { "producer", "consumer" }));
    }

    [Test]
    public void A_terminals_interrupt_reaches_each_side_once()
    {
        // A real terminal: its driver signals everybody in the foreground, so otto must not do it again.
        Result result = Pipe(""""
            exec python3 -c '
            import os, pty
            child, terminal = pty.fork()
            if child == 0:
                os.execvp("otto", ["otto", "pipe",
                    "--", "bash", "-c", """trap "echo producer" INT; echo ready; until [ -e go ]; do sleep 0.01; done; rm go""",
                    ":::", "bash", "-c",
                    """trap "echo consumer" INT; echo ready; cat "$OTTO_INPUT_PIPE" || cat "$OTTO_INPUT_PIPE"; echo done"""])
            said = b""
            while True:
                try: said += os.read(terminal, 1000)
                except OSError: break
                if said.count(b"ready") == 2 and b"^C" not in said: os.write(terminal, b"\x03"); said += b"^C"
                if b"producer" in said and b"consumer" in said and not os.path.exists("go") and b"done" not in said: open("go", "w")
            print(said.count(b"producer"), said.count(b"consumer"), b"done" in said, os.waitpid(child, 0)[1])
            if os.path.exists("go"): os.remove("go")
            '
            """");
        Assert.That(result.Output, Is.EqualTo("1 1 True 0\n"), result.ToString());
    }

    [Test]
    public void Killed_otto_leaves_the_programs_to_end_by_themselves_and_the_next_one_clears_up()
    {
        using Process process = Start("bash", "-c", """
            cd "$OTTO_MMAP_DIR"; export OTTO_FIFO_DIR=$PWD
            exec otto pipe -- bash -c 'yes > "$OTTO_OUTPUT_PIPE"; echo "producer ${PIPESTATUS[0]}"' \
                ::: bash -c 'read -r line < "$OTTO_INPUT_PIPE"; : > a; cat "$OTTO_INPUT_PIPE" > /dev/null; exec 3< /dev/null'
            """);
        WaitUntil(() => File.Exists(Path.Combine(Folder, "a")), "data to flow");
        File.Delete(Path.Combine(Folder, "a"));
        _ = Kill(process.Id, 9);
        Assert.That(process.WaitForExit(TimeSpan.FromSeconds(30)), Is.True);
        Result next = Pipe($"otto pipe -- true ::: {ReadLines}");
        Assert.That((next.Code, next.Output), Is.EqualTo((0, "end\n")));
        Assert.That(process.StandardOutput.ReadToEnd(), Is.EqualTo("producer 141\n"), "its end of the pipe was closed with the process");
    }

    [Test]
    public void Help_shows_an_example_and_the_exit_codes()
    {
        Result result = Run("otto", ["pipe", "--help"]);
        Assert.That(result.Output, Does.Contain("Example:").And.Contain("otto pipe -- ").And.Contain("125").And.Contain("SIGPIPE"));
    }

    private Result Pipe(string script) => Bash($"cd \"$OTTO_MMAP_DIR\"; export OTTO_FIFO_DIR=$PWD; {script}");

    private static void WaitUntil(Func<bool> condition, string what)
    {
        long start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(start) > TimeSpan.FromSeconds(30)) Assert.Fail($"waited for: {what}");
            Thread.Sleep(1);
        }
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int pid, int signal);
}
