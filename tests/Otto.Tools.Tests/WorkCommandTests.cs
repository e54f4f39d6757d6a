using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Otto.Queue.Tests.Support;

namespace Otto.Tools.Tests;

// What becomes of the commands of otto queue work: signals, a killed worker, and what commands leave behind. With real processes.

internal sealed class WorkCommandTests : ToolTest
{
    private static readonly TimeSpan Watchdog = TimeSpan.FromSeconds(60);

    [SetUp]
    public void MakePrivate() => File.SetUnixFileMode(Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

    [TestCase("INT")]
    [TestCase("TERM")]
    [TestCase("HUP")]
    public async Task A_signal_to_the_whole_group_lets_the_command_finish_and_begins_nothing_new(string signal)
    {
        Send("one", "two");
        using Process worker = Work("echo begun; until [ -e go ]; do sleep 0.02; done; cat");
        Assert.That(await LineAsync(worker), Is.EqualTo("begun"));

        Kill(signal, -worker.Id);

        await Eventually.Holds(() => Stat("workers") == 0);
        await File.WriteAllTextAsync(Path.Combine(Folder, "go"), "");
        Task<string> output = worker.StandardOutput.ReadToEndAsync(), errors = worker.StandardError.ReadToEndAsync();
        await worker.WaitForExitAsync().WaitAsync(Watchdog);
        Assert.That((worker.ExitCode, await output), Is.EqualTo((0, "one")), await errors);
        Assert.That(await errors, Does.Contain("1 tasks done, 0 attempts failed, 0 given up"));
        Assert.That((Stat("ready"), Stat("delayed"), Stat("leased")), Is.EqualTo((1, 0, 0)), "the other one was not begun");
    }

    [Test]
    public void A_terminals_interrupt_does_not_reach_the_command()
    {
        Send("x");
        Result result = Bash($$""""
            cd {{Folder}}; exec python3 -c '
            import os, pty
            child, terminal = pty.fork()
            if child == 0:
                os.execvp("otto", ["otto", "queue", "work", "jobs", "--dir", "{{Folder}}", "--", "bash", "-c",
                    """trap "echo interrupted" INT; echo ready; until [ -e go ]; do sleep 0.01; done; echo done"""])
            said = b""
            while True:
                try: said += os.read(terminal, 1000)
                except OSError: break
                if b"ready" in said and b"^C" not in said: os.write(terminal, b"\x03"); said += b"^C"
                if b"a second signal" in said: open("go", "w").close()
            print(said.count(b"interrupted"), b"done" in said, os.waitpid(child, 0)[1])
            '
            """");
        Assert.That(result.Output, Is.EqualTo("0 True 0\n"), result.ToString());
    }

    [TestCase("INT", "INT", 130)]
    [TestCase("TERM", "HUP", 129)]
    [TestCase("QUIT", null, 131)]
    public async Task The_second_signal_ends_the_group_and_gives_the_task_back(string first, string? second, int code)
    {
        Send("x");
        // The inner one is in the background, and not what the worker started itself.
        using Process worker = Work("trap 'echo asked; exit 0' TERM; sleep 600 & echo $$ $!; wait");
        int[] processes = [.. (await LineAsync(worker)).Split(' ').Select(static p => int.Parse(p, CultureInfo.InvariantCulture))];

        Kill(first, worker.Id);
        if (second is not null)
        {
            await Eventually.Holds(() => Stat("workers") == 0);
            Kill(second, worker.Id);
        }

        Task<string> output = worker.StandardOutput.ReadToEndAsync(), errors = worker.StandardError.ReadToEndAsync();
        await worker.WaitForExitAsync().WaitAsync(Watchdog);
        Assert.That((worker.ExitCode, await output), Is.EqualTo((code, "asked\n")), await errors);
        Assert.That(processes.Where(IsAlive), Is.Empty, "all of the group");
        Assert.That(await errors, Does.Contain("0 tasks done, 0 attempts failed, 0 given up, 1 returned"));
        Assert.That(Stat("ready"), Is.EqualTo(1));
        Assert.That(Bash($"otto queue work jobs --dir {Folder} --count 1 -- sh -c 'echo $OTTO_TASK_ATTEMPT'").Output, Is.EqualTo("1\n"),
            "no attempt was used");
    }

    [Test]
    public async Task A_command_that_does_not_end_by_itself_is_killed_and_a_third_signal_hurries()
    {
        Send("x");
        using Process worker = Work("trap '' TERM; sh -c 'trap : TERM; echo $$; while :; do sleep 0.1; done'");
        int inner = int.Parse(await LineAsync(worker), CultureInfo.InvariantCulture);
        for (int i = 0; i < 3; i++)
        {
            Kill("TERM", worker.Id);
            if (i == 0) await Eventually.Holds(() => Stat("workers") == 0);
            if (i == 1) Assert.That(IsAlive(inner), "it has a grace");
        }

        await worker.WaitForExitAsync().WaitAsync(Watchdog);
        Assert.That((worker.ExitCode, IsAlive(inner)), Is.EqualTo((143, false)), await worker.StandardError.ReadToEndAsync());
        Assert.That(Stat("ready"), Is.EqualTo(1));
    }

    [TestCase(false)]
    [TestCase(true)]
    public async Task The_command_and_its_group_die_with_a_killed_worker(bool guardIsKilledBefore)
    {
        Send("x");
        using Process worker = Work("trap '' TERM HUP INT; sleep 600 & echo $$ $!; wait");
        int[] processes = [.. (await LineAsync(worker)).Split(' ').Select(static p => int.Parse(p, CultureInfo.InvariantCulture))];
        if (guardIsKilledBefore)
        {
            int guard = 0;
            await Eventually.Holds(() => (guard = Guard(worker.Id)) != 0);
            Kill("KILL", guard);
            await Eventually.Holds(() => Guard(worker.Id) is not 0 and var other && other != guard);
        }

        Kill("KILL", worker.Id);

        await Eventually.Holds(() => !processes.Any(IsAlive));
        Assert.That(Bash($"otto queue work jobs --dir {Folder} --count 1 -- sh -c 'echo $OTTO_TASK_ATTEMPT'").Output, Is.EqualTo("2\n"));
    }

    [Test]
    public async Task A_stopped_worker_keeps_its_task_and_its_command_runs_on()
    {
        Send("x");
        using Process worker = Work("until [ -e go ]; do sleep 0.02; done; echo done; : > ended");
        await Eventually.Holds(() => Stat("leased") == 1);
        Kill("STOP", worker.Id);
        await File.WriteAllTextAsync(Path.Combine(Folder, "go"), "");
        Assert.That(await LineAsync(worker), Is.EqualTo("done"));
        Assert.That(Stat("leased"), Is.EqualTo(1), "nobody else gets it meanwhile");
        Kill("CONT", worker.Id);
        await Eventually.Holds(() => Stat("leased") == 0);
        Kill("TERM", worker.Id);
        await worker.WaitForExitAsync().WaitAsync(Watchdog);
        Assert.That(worker.ExitCode, Is.Zero);
    }

    [TestCase("", "sleep 600 & echo $! >>left; exit 0")]
    [TestCase("--timeout 20", "sleep 600 & echo $! >>left; exit 0")]
    [TestCase("--json", "sleep 600 & echo $! >>left; exit 0")]
    [TestCase("", "exec 3<&0; sleep 600 <&3 & echo $! >>left; exit 0")]
    [TestCase("", "setsid sleep 600 & echo $! >>left; exit 0")]
    public void A_command_is_done_when_it_has_exited_whatever_it_left_in_the_background(string options, string command)
    {
        // More than a pipe holds, which nobody reads.
        Bash($"head -c 200000 /dev/zero | otto queue send jobs - --dir {Folder}");
        // What is left holds this script's standard output, so it is ended before.
        Result result = Bash($"""
            cd {Folder}; timeout 40 otto queue work jobs --dir {Folder} --count 1 {options} -- sh -c '{command}' >output
            code=$?
            while read -r process; do kill -KILL "$process" && echo "killed"; done <left
            exit $code
            """);
        Assert.That(result.Code, Is.Zero, result.ToString());
        Assert.That(result.Errors, Does.Contain("1 tasks done, 0 attempts failed"));
        Assert.That(result.Output, Is.EqualTo("killed\n"), "it ran once, and what it left was not harmed");
    }

    [Test]
    public void A_failed_command_is_reported_with_its_last_words_beside_a_background_process()
    {
        Send("x");
        Result result = Bash($"""
            cd {Folder}
            timeout 40 otto queue work jobs --dir {Folder} --count 1 --retry 0 -- sh -c 'sleep 600 & echo $! >left; echo why >&2; exit 3'
            kill -KILL $(cat left)
            otto queue dead jobs --dir {Folder}
            """);
        Assert.That(result.Output, Does.Contain("sh ended with code 3: why"));
    }

    [Test]
    public void A_command_has_a_group_and_session_of_its_own_and_the_usual_signals()
    {
        Send("x");
        // Started as nohup and a script's & do: all of them ignored.
        Result result = Bash($$"""
            trap '' HUP INT QUIT TERM PIPE
            otto queue work jobs --dir {{Folder}} --count 1 -- \
                bash -c 'read -r _ _ _ _ group session _ </proc/$$/stat; echo $((group - $$)) $((session - $$))
                    grep -E "^Sig(Ign|Blk)" /proc/$$/status'
            """);
        // Above 31 are the ones of threads, which programs do not see.
        Assert.That(result.Output, Does.Match("^0 0\nSigBlk:\t.{8}[08]0{7}\nSigIgn:\t.{8}[08]0{7}\n$"), result.ToString());
    }

    [Test]
    public async Task A_worker_under_nohup_works_on_when_its_terminal_goes()
    {
        using Process worker = Start("nohup", "otto", "queue", "work", "jobs", "--dir", Folder, "--", "cat");
        await Eventually.Holds(() => Stat("workers") == 1);
        Kill("HUP", worker.Id);
        Send("x");
        await Eventually.Holds(() => Stat("ready") + Stat("leased") == 0);
        Kill("TERM", worker.Id);
        Task<string> output = worker.StandardOutput.ReadToEndAsync(), errors = worker.StandardError.ReadToEndAsync();
        await worker.WaitForExitAsync().WaitAsync(Watchdog);
        Assert.That((worker.ExitCode, await output), Is.EqualTo((0, "x")), await errors);
    }

    [Test]
    public void The_environment_passes_as_the_bytes_that_it_is()
    {
        Send("x");
        Result result = Bash($$"""
            export VALUE=$'a\xffb'
            f() { echo function; }; export -f f
            env 'ODD-NAME=odd' otto queue work jobs --dir {{Folder}} --count 1 -- \
                bash -c 'printf %s "$VALUE" | xxd -p; f; tr "\0" "\n" </proc/$$/environ | grep ^ODD'
            """);
        Assert.That(result.Output, Is.EqualTo("61ff62\nfunction\nODD-NAME=odd\n"), result.ToString());
    }

    [TestCase("no-such-program", 127, "no program 'no-such-program' in PATH")]
    [TestCase("/etc/passwd", 126, "cannot be executed")]
    public void A_command_that_cannot_run_costs_no_attempt(string command, int code, string words)
    {
        Send("x");
        Result result = Run("otto", ["queue", "work", "jobs", "--dir", Folder, "--", command]);
        Assert.That((result.Code, Stat("ready")), Is.EqualTo((code, 1)), result.ToString());
        Assert.That(result.Errors, Does.Contain(words));
    }

    private void Send(params string[] payloads)
    {
        foreach (string payload in payloads)
        {
            Result sent = Run("otto", ["queue", "send", "jobs", payload, "--dir", Folder]);
            Assert.That(sent.Code, Is.Zero, sent.ToString());
        }
    }

    // In a group of its own, as a shell starts it, so that all of it can be signalled.
    private Process Work(string script) => Start("bash", "-c",
        $"cd {Folder}; exec setsid otto queue work jobs --dir {Folder} -- bash -c \"$1\"", "bash", script);

    private int Stat(string number)
    {
        Result result = Run("otto", ["queue", "stat", "jobs", "--dir", Folder, "--json"]);
        return result.Code == 0 ? JsonDocument.Parse(result.Output).RootElement.GetProperty(number).GetInt32() : -1;
    }

    private static async Task<string> LineAsync(Process process) =>
        await process.StandardOutput.ReadLineAsync().WaitAsync(Watchdog) ?? "";

    private static void Kill(string signal, int process) =>
        Process.Start("kill", ["-" + signal, "--", process.ToString(CultureInfo.InvariantCulture)]).WaitForExit();

    private static bool IsAlive(int process)
    {
        try
        {
            // The letter behind the name in parentheses: a zombie is not alive.
            string status = File.ReadAllText($"/proc/{process}/stat");
            return status[status.LastIndexOf(')') + 2] is not ('Z' or 'X');
        }
        catch (IOException)
        {
            return false;
        }
    }

    // The child of a worker that has the guard's name.
    private static int Guard(int worker) => Directory.EnumerateDirectories("/proc")
        .Select(static d => int.TryParse(Path.GetFileName(d), NumberStyles.None, CultureInfo.InvariantCulture, out int id) ? id : 0)
        .FirstOrDefault(id =>
        {
            try
            {
                string status = id == 0 ? "" : File.ReadAllText($"/proc/{id}/stat");
                string wanted = string.Create(CultureInfo.InvariantCulture, $"(command-guard) S {worker} ");
                return status.Contains(wanted, StringComparison.Ordinal);
            }
            catch (IOException)
            {
                return false;
            }
        });
}
