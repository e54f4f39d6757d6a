using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using Otto.Ipc.Conformance;
using Otto.Queue.Tests.Support;

namespace Otto.Tools.Tests;

// otto queue work --workers: processes that answer a line for each task, good ones and bad ones. The document's examples are run too.

internal sealed partial class LineWorkerTests : ToolTest
{
    private static readonly TimeSpan Watchdog = TimeSpan.FromSeconds(60);

    private const string Loop = """
        import json, os, sys, time
        for line in sys.stdin:
            task = json.loads(line); payload = task.get("payload")
            def answer(**what): print(json.dumps(what), flush=True)

        """;

    [SetUp]
    public void MakePrivate() => File.SetUnixFileMode(Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

    private static IEnumerable<TestCaseData> Examples()
    {
        string document = File.ReadAllText(Path.Combine(DocumentExamples.Root, "docs", "workers.md"));
        MatchCollection blocks = Block().Matches(document);
        for (int i = 0; i + 1 < blocks.Count; i += 2)
            yield return new TestCaseData(blocks[i].Groups["body"].Value, blocks[i + 1].Groups["body"].Value).SetArgDisplayNames(
                $"line {document[..blocks[i].Index].Count(static c => c == '\n') + 1}");
    }

    [TestCaseSource(nameof(Examples))]
    public void An_example_prints_what_the_document_says(string script, string expected)
    {
        if (script.Contains("node ", StringComparison.Ordinal) && Bash("command -v node").Code != 0)
            Assert.Ignore("needs node: apt-get install nodejs");
        Result result = Bash($"cd {Folder}; export OTTO_SHM_DIR={Folder}\n{script}");
        Assert.That(result.Output, Is.EqualTo(expected), result.ToString());
    }

    [Test]
    public void Every_example_is_found() => Assert.That(Examples().Count(), Is.EqualTo(3));

    [Test]
    public void A_process_gets_every_task_as_it_was_sent()
    {
        Bash($"printf 'one\\ntwo \"quoted\" \\xc3\\xbc\\nthree\\xff\\n' | otto queue send jobs --dir {Folder}");
        Result result = Work("--workers 1 --count 3", Loop + """
                names = [task[name] for name in ("name", "queue", "attempt", "maxAttempts")]
                print(os.getpid(), *names, len(task["id"]), payload, task.get("base64"), file=sys.stderr)
                answer(ok=True, id=task["id"], more=1)
            """);
        Assert.That(result.Code, Is.Zero, result.ToString());
        string[] lines = result.Errors.Split('\n');
        Assert.That(lines.Take(3).Select(static l => l.Split(' ')[0]).Distinct().Count(), Is.EqualTo(1), "one process");
        Assert.That(lines.Take(3).Select(static l => l[(l.IndexOf(' ', StringComparison.Ordinal) + 1)..]), Is.EqualTo(new[]
        {
            "jobs jobs 1 4 32 one None", "jobs jobs 1 4 32 two \"quoted\" \u00fc None", "jobs jobs 1 4 32 None dGhyZWX/",
        }));
    }

    [TestCase("""print("hello", flush=True)""", "the answer must be {\"ok\":true} or {\"error\":\"why\"}, not 'hello'")]
    [TestCase("""print("[1]", flush=True)""", "the answer must be")]
    [TestCase("""print('{"ok":"yes"}', flush=True)""", "the answer must be")]
    [TestCase("""print('{"error":"\\ud800"}', flush=True)""", "the answer must be")]
    [TestCase("""answer(ok=True, id="0")""", "the answer is to the task \"0\", not to")]
    [TestCase("""print("x" * 3000000, flush=True)""", "an answer has more than 1,048,576 bytes")]
    [TestCase("""print("last words", file=sys.stderr); sys.exit(3)""", "python3 ended with code 3 before it answered: last words")]
    [TestCase("""os.kill(os.getpid(), 9)""", "python3 ended with code 137 before it answered")]
    [TestCase("""os.close(1); time.sleep(600)""", "python3 closed its standard output before it answered")]
    [TestCase("""time.sleep(600)""", "attempt 1 ran longer than 5 s")]
    [TestCase("""answer(error="no such photo")""", "no such photo")]
    public void What_is_no_answer_fails_that_task_and_no_other(string bad, string reason)
    {
        Bash($"printf 'bad\\ngood\\n' | otto queue send jobs --dir {Folder}");
        Result result = Work("--workers 1 --count 2 --retry 0 --timeout 5", Loop + $$"""
                if payload == "bad": {{bad}}
                else: answer(ok=True)
            """);
        Assert.That(result.Errors, Does.Contain("1 tasks done, 1 attempts failed, 1 given up"), result.ToString());
        Assert.That(Bash($"otto queue dead jobs --dir {Folder}").Output, Does.Contain(reason));
    }

    [TestCase("not json", "--as json", "pass", 0)]
    [TestCase("text", "", """print('{"error":"\\ud800"}', flush=True)""", 6)]
    public void A_task_that_fails_in_an_odd_way_leaves_no_process_behind(string payload, string send, string bad, int starts)
    {
        Bash($"for i in 1 2 3 4 5 6; do echo {payload}; done | otto queue send jobs {send} --dir {Folder}");
        Result result = Work($"--workers 1 --count 6 --retry 0 {send}", $$"""
            import glob, os, sys
            for other in glob.glob("{{Folder}}/pid.*"):
                try:
                    os.kill(int(other.rsplit(".", 1)[1]), 0)
                    open("{{Folder}}/left", "a").write(other + "\n")
                except ProcessLookupError: pass
            open("{{Folder}}/pid." + str(os.getpid()), "w").close()
            for line in sys.stdin:
                {{bad}}
            """);
        Assert.That(result.Errors, Does.Contain("0 tasks done, 6 attempts failed, 6 given up"), result.ToString());
        Assert.That(Path.Combine(Folder, "left"), Does.Not.Exist);
        Assert.That(Directory.GetFiles(Folder, "pid.*"), Has.Length.EqualTo(starts));
    }

    [Test]
    public void An_answer_decides_whether_there_is_another_attempt()
    {
        Bash($"printf 'again\\nnever\\n' | otto queue send jobs --dir {Folder}");
        Result result = Work("--workers 1 --count 2 --retry 5 --json", Loop + """
                if payload == "never": answer(error="for good", retry=False)
                elif task["attempt"] < 3: answer(error="not yet")
                else: answer(ok=True)
            """);
        string[] lines = [.. result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static l =>
            JsonDocument.Parse(l).RootElement.TryGetProperty("error", out JsonElement e) ? e.GetString()! : "done")];
        Assert.That(lines, Is.EquivalentTo(new[] { "not yet", "for good", "not yet", "done" }), result.ToString());
        Assert.That(Bash($"otto queue dead jobs --dir {Folder}").Output, Does.Contain("for good").And.Contain(" 1 attempts"));
    }

    [Test]
    public void What_a_process_writes_or_does_without_a_task_costs_no_attempt()
    {
        Bash($"seq 4 | otto queue send jobs --dir {Folder}");
        // Each process writes too much, or ends, once it has answered.
        Result result = Work("--workers 1 --count 4 --retry 0", Loop + """
                if int(payload) % 2: print('{"ok":true}\n{"ok":true}', flush=True)
                else: answer(ok=True); sys.exit(0)
            """);
        Assert.That(result.Errors, Does.Contain("4 tasks done, 0 attempts failed"), result.ToString());
    }

    [Test]
    public void A_command_that_cannot_start_does_not_use_up_the_queue_at_once()
    {
        Bash($"seq 200 | otto queue send jobs --dir {Folder}");
        Result result = Bash($"timeout -s INT 4 otto queue work jobs --dir {Folder} --workers 1 --retry 0 "
            + $"-- sh -c 'echo x >>{Folder}/starts; exit 1'");
        Assert.That(File.ReadAllLines(Path.Combine(Folder, "starts")), Has.Length.InRange(1, 10), result.ToString());
    }

    [Test]
    public void Several_processes_share_the_tasks()
    {
        Bash($"seq 300 | otto queue send jobs --dir {Folder}");
        Result result = Work("--workers 3 --count 300", Loop + """
                open(str(os.getpid()), "w").close()
                time.sleep(0.01)
                answer(ok=True)
            """, "mkdir pids; cd pids");
        Assert.That(result.Errors, Does.Contain("300 tasks done, 0 attempts failed"), result.ToString());
        Assert.That(Directory.GetFiles(Path.Combine(Folder, "pids")), Has.Length.EqualTo(3));
    }

    [TestCase("TERM", null, 0)]
    [TestCase("INT", "INT", 130)]
    [TestCase("KILL", null, 137)]
    public async Task A_stop_and_a_death_reach_the_processes(string first, string? second, int code)
    {
        Bash($"seq 1 | otto queue send jobs --dir {Folder}");
        string program = Loop + """
                print("begun", os.getpid(), flush=True, file=sys.stderr)
                while not os.path.exists("go"): time.sleep(0.01)
                answer(ok=True)
            open("ended", "w").close()
            """;
        await File.WriteAllTextAsync(Path.Combine(Folder, "worker.py"), program);
        using Process worker = Start("bash", "-c",
            $"cd {Folder}; exec setsid otto queue work jobs --dir {Folder} --workers 2 -- python3 worker.py");
        string line = await worker.StandardError.ReadLineAsync().WaitAsync(Watchdog) ?? "";
        Assert.That(line, Does.StartWith("begun "));
        string process = "/proc/" + line["begun ".Length..];

        Process.Start("kill", ["-" + first, "--", $"-{worker.Id}"]).WaitForExit();
        if (code == 0)
        {
            await Eventually.Holds(() => Stat().Contains("0 workers", StringComparison.Ordinal));
            await File.WriteAllTextAsync(Path.Combine(Folder, "go"), "");
        }

        if (second is not null)
        {
            await Eventually.Holds(() => Stat().Contains("0 workers", StringComparison.Ordinal));
            Process.Start("kill", ["-" + second, "--", $"-{worker.Id}"]).WaitForExit();
        }

        await worker.WaitForExitAsync().WaitAsync(Watchdog);
        await Eventually.Holds(() => !Directory.Exists(process));
        Assert.That((worker.ExitCode, File.Exists(Path.Combine(Folder, "ended"))), Is.EqualTo((code, code == 0)));
        // Nobody has looked yet whether the killed worker still has its task.
        Assert.That(Stat(), Does.Contain(code == 0 ? ": 0 ready, 0 leased" : ": 1 ready").Or.Contain(
            code == 137 ? ": 0 ready, 1 leased" : code == 0 ? ": 0 ready, 0 leased" : ": 1 ready"));
    }

    private string Stat() => Bash($"otto queue stat jobs --dir {Folder}").Output;

    private Result Work(string options, string program, string before = ":")
    {
        File.WriteAllText(Path.Combine(Folder, "worker.py"), program);
        return Bash($"cd {Folder}; {before}; export PYTHONUTF8=1; "
            + $"timeout 50 otto queue work jobs --dir {Folder} {options} -- python3 {Folder}/worker.py");
    }

    [GeneratedRegex(@"^```(?<kind>sh|text)\n(?<body>(?:.*\n)*?)```$", RegexOptions.Multiline)]
    private static partial Regex Block();
}
