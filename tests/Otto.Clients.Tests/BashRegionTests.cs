using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap.Regions;

namespace Otto.Clients.Tests;

// otto_mmap_get and otto_mmap_set beside the library: the same files, the same steps, and the same promises under SIGKILL.

[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class BashRegionTests
{
    private static readonly string[] Steps = ["WriteRedo", "WriteRedoHeader", "Commit", "BeginFront", "EndFront", "Settle", "Unlock"];
    private readonly ClientWorkspace _workspace = new();

    private string FilePath => Path.Combine(_workspace.Directory, "region");

    private (string, string) Here => ("OTTO_MMAP_PATH", FilePath);

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void A_script_makes_a_region_and_the_library_reads_it()
    {
        ProgramResult result = _workspace.Bash("""
            set -euo pipefail
            otto_mmap_set build step compile
            otto_mmap_set build progress --json-value '{"done":3,"of":10}'
            printf 'two\nlines\n' | otto_mmap_set build text -
            otto_mmap_get build step
            echo "of $(otto_mmap_get build --all | jq -c .progress.of)"
            (otto_mmap_get build text | cat)
            otto_mmap_get build nothing --default none
            ls
            """, null, ("OTTO_TASK_NAME", "other"));
        Assert.That((result.Code, result.Errors), Is.EqualTo((0, "")));
        Assert.That(result.Output, Does.Match(@"^compile\nof 10\ntwo\nlines\nnone\notto-[0-9]+-build\n$"));
        string path = Directory.GetFiles(_workspace.Directory).Single();
        Assert.That(File.GetUnixFileMode(path), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        Assert.That(Open(path).Read().Root.GetRawText(),
            Is.EqualTo("{\"step\":\"compile\",\"progress\":{\"done\":3,\"of\":10},\"text\":\"two\\nlines\"}"));
    }

    [Test]
    public void A_job_that_a_trap_starts_in_the_middle_of_a_change_does_not_keep_the_lock()
    {
        // The job is there before the lock is released, and outlives it.
        ProgramResult result = _workspace.Bash("""
            otto_mmap_set t k 1
            eval "$(declare -f _otto_change | sed '1s/_otto_change/changed/')"
            _otto_change() { sleep 600 >/dev/null 2>&1 & job=$!; changed "$@"; }
            otto_mmap_set t k 2
            timeout 5 flock "$OTTO_MMAP_PATH" true && echo free
            otto_mmap_get t k
            kill "$job"
            """, null, Here);
        Assert.That((result.Code, result.Output), Is.EqualTo((0, "free\n2\n")), result.ToString());
    }

    [Test]
    public void What_bash_makes_and_writes_is_byte_for_byte_what_the_library_does()
    {
        Assert.That(_workspace.Bash("otto_mmap_set k v && otto_mmap_set grüße '{\"x\"}'", null, Here, ("OTTO_TASK", "t")).Code, Is.Zero);
        string ours = Path.Combine(_workspace.Directory, "ours");
        JsonRegion.OpenOrCreate(new RegionLocation("t") { FilePath = ours }).Set("k", "v");
        Open(ours).Set("grüße", "{\"x\"}");
        Assert.That(File.ReadAllBytes(FilePath), Is.EqualTo(File.ReadAllBytes(ours)));
    }

    [Test]
    public void A_script_reads_what_the_library_wrote()
    {
        JsonRegion region = Create();
        region.Update(root =>
        {
            root["text"] = "a \"quoted\" \\ line\nand größe 日本語 😀 / end";
            root["null"] = null;
            root["nested"] = JsonSerializer.SerializeToNode(new { a = new object[] { 1, "]}\"", new { b = "{" } } });
            root["nes\"ted\\"] = 2.5;
            root["last"] = true;
        });
        ProgramResult result = _workspace.Bash("otto_mmap_get text; otto_mmap_get text --json; otto_mmap_get null; otto_mmap_get nested; "
            + "otto_mmap_get 'nes\"ted\\'; otto_mmap_get last; otto_mmap_get a; echo $?", null, Here);
        Assert.That(result.Output, Is.EqualTo(
            "a \"quoted\" \\ line\nand größe 日本語 😀 / end\n" + region.Get("text")!.Value.GetRawText() + "\nnull\n"
            + region.Get("nested")!.Value.GetRawText() + "\n2.5\ntrue\n1\n"));
    }

    [Test]
    public void Setting_leaves_all_else_as_other_programs_wrote_it()
    {
        const string Before = "{ \"n\":12345678901234567890, \"f\" : 1.50e1 ,\"k\":[1,{\"k\":2}],\"\\u0065\":\"\\u00fc\",\n\"z\":{} }";
        Foreign(Before, 200_704);
        Assert.That(_workspace.Bash("otto_mmap_set k --json-value '{\"new\":true}' && otto_mmap_set e 1 && otto_mmap_set more 2", null,
            Here).Errors, Is.Empty);
        Assert.That(Open(FilePath).Read().Root.GetRawText(),
            Is.EqualTo("{ \"n\":12345678901234567890, \"f\" : 1.50e1 ,\"k\":{\"new\":true},\"\\u0065\":\"1\",\n\"z\":{} ,\"more\":\"2\"}"));
    }

    [Test]
    public void A_large_region_is_read_and_written_too()
    {
        JsonRegion region = Create(1 << 20);
        region.Update(root =>
        {
            for (int i = 0; i < 1000; i++) root[$"key{i}"] = new string('v', 50);
        });
        ProgramResult result =
            _workspace.Bash(
                """
                otto_mmap_set middle "$(printf 'x%.0s' {1..3000})" && otto_mmap_set last 1 \
                  && otto_mmap_get key500 && otto_mmap_get last
                """, null, Here);
        Assert.That(result, Is.EqualTo(new ProgramResult(0, new string('v', 50) + "\n1\n", "")));
        Assert.That(region.Get("middle")!.Value.GetString(), Is.EqualTo(new string('x', 3000)));
    }

    [TestCase("cd clients; . otto.sh", 0)]
    [TestCase(". clients/otto.sh", 0)]
    [TestCase(". ./clients/otto.sh", 0)]
    [TestCase(". \"$PWD/clients/otto.sh\"", 0)]
    [TestCase("PATH=$PWD/clients:$PATH; . otto.sh", 0)]
    [TestCase("rm clients/otto-region.sh; . clients/otto.sh", 1)]
    public void The_file_beside_is_found_however_otto_sh_is_loaded(string load, int code)
    {
        Assert.That(_workspace.Run("cp", ["-r", Path.Combine(ClientWorkspace.Clients, "bash"), "clients"], null).Code, Is.Zero);
        ProgramResult result = _workspace.Run("bash", ["-euc", load + "; otto_mmap_set t k v; otto_mmap_get t k"], null, Here);
        Assert.That((result.Code, result.Output), Is.EqualTo((code, code == 0 ? "v\n" : "")), result.Errors);
    }

    [TestCaseSource(nameof(Steps))]
    public void What_a_writer_killed_before_a_step_left_is_read_whole_and_finished(string step)
    {
        JsonRegion region = Create();
        region.Set("key", "old");
        Process writer = Peer("region-set", FilePath, "key", new string('n', 300), "kill", step);
        writer.WaitForExit();
        Assert.That(writer.ExitCode, Is.EqualTo(137));
        string expected = Array.IndexOf(Steps, step) < Array.IndexOf(Steps, "BeginFront") ? "old" : new string('n', 300);
        Assert.That(_workspace.Bash("otto_mmap_get key", null, Here).Output, Is.EqualTo(expected + "\n"));
        Assert.That(_workspace.Bash("otto_mmap_set other 1", null, Here).Errors, Is.Empty);
        Assert.That(_workspace.Bash("otto_mmap_get --all", null, Here).Output, Is.EqualTo($"{{\"key\":\"{expected}\",\"other\":\"1\"}}\n"));
        Assert.That(region.Get("key")!.Value.GetString(), Is.EqualTo(expected));
    }

    [Test]
    public void A_stopped_writer_keeps_no_script_from_reading_and_is_waited_for_to_write()
    {
        Create().Set("key", "old");
        Process writer = Peer("region-set", FilePath, "key", "new", "stop", "BeginFront");
        Watchdog.Until(() => File.ReadAllText($"/proc/{writer.Id}/stat").Contains(") T ", StringComparison.Ordinal), "the writer to stop");
        Assert.That(_workspace.Bash("otto_mmap_get key", null, Here).Output, Is.EqualTo("new\n"));
        Assert.That(_workspace.Bash("otto_mmap_set key 3", null, Here, ("OTTO_TIMEOUT", "0.2")),
            Is.EqualTo(new ProgramResult(124, "", $"otto_mmap_set: {FilePath} was locked by another for 0.2 s\n")));
        Assert.That(_workspace.Run("kill", ["-18", writer.Id.ToString(CultureInfo.InvariantCulture)], null).Code, Is.Zero);
        writer.WaitForExit();
        Assert.That(_workspace.Bash("otto_mmap_set key 3 && otto_mmap_get key", null, Here).Output, Is.EqualTo("3\n"));
    }

    [Test]
    public void A_foreign_write_over_a_dead_writers_work_is_not_reverted()
    {
        Create().Set("key", "old");
        Peer("region-set", FilePath, "key", "new", "kill", "EndFront").WaitForExit();
        Foreign("{\"foreign\":1}", 0);
        Assert.That(_workspace.Bash("otto_mmap_set other 1; otto_mmap_get --all", null, Here).Output,
            Is.EqualTo("{\"foreign\":1,\"other\":\"1\"}\n"));
    }

    [Test]
    public void A_script_killed_at_any_moment_leaves_one_whole_value()
    {
        JsonRegion region = Create();
        region.Update(root => root["length"] = 0);
        var random = new Random(11);
        for (int round = 0; round < 20; round++)
        {
            Process writer = _workspace.Start("bash", ["-c", $$"""
                . '{{ClientWorkspace.Clients}}/bash/otto.sh'
                for ((i = 1; ; i++)); do
                  printf -v text '%*s' $((RANDOM % 900 + 1)) ''
                  text=${text// /$((i % 10))}
                  otto_mmap_set all --json-value "{\"length\":${#text},\"first\":\"$text\",\"last\":\"$text\"}"
                done
                """], Here);
            Watchdog.Until(() => region.Get("all")?.GetRawText() is { } now && now != _seen && (_seen = now) is not null,
                "the script to write");
            // The moment is the point here, so it is drawn by chance, not waited for.
            long start = Stopwatch.GetTimestamp();
            var moment = TimeSpan.FromMilliseconds(random.Next(60));
            while (Stopwatch.GetElapsedTime(start) < moment)
            {
                AssertWhole(region.Get("all")!.Value);
                Thread.Yield();
            }

            writer.Kill(entireProcessTree: true);
            writer.WaitForExit();
            AssertWhole(region.Get("all")!.Value);
            AssertWhole(JsonDocument.Parse(_workspace.Bash("otto_mmap_get all", null, Here).Output).RootElement);
        }
    }

    private string? _seen;

    [Test]
    public void A_script_never_reads_half_a_value_beside_a_writer_that_never_rests()
    {
        Create(128 * 1024).Update(root => root["length"] = 0);
        Process writer = Peer("region-rewrite", FilePath, "2000");
        Assert.That(ClientWorkspace.ReadLine(writer), Is.EqualTo("ready"));
        writer.StandardInput.WriteLine();
        ProgramResult result = _workspace.Bash("for i in {1..40}; do otto_mmap_get --all || exit; done", null, Here);
        Assert.That(writer.HasExited, Is.False, "the writer was at work all the time");
        Assert.That((result.Code, result.Errors), Is.EqualTo((0, "")));
        string[] lines = result.Output.TrimEnd('\n').Split('\n');
        Assert.That(lines, Has.Length.EqualTo(40));
        Assert.That(lines.Distinct().Count(), Is.GreaterThan(10));
        foreach (string line in lines) AssertWhole(JsonDocument.Parse(line).RootElement);
    }

    [Test]
    public void Scripts_and_the_library_lose_nothing_to_each_other()
    {
        JsonRegion region = Create();
        Process[] scripts =
            [.. Enumerable.Range(0, 2).Select(
                s => _workspace.Start("bash",
                    ["-c", $". '{ClientWorkspace.Clients}/bash/otto.sh'; for i in {{1..15}}; do otto_mmap_set s{s}.$i $i || exit; done"],
                    Here))];
        for (int i = 0; !scripts.All(script => script.HasExited); i++)
        {
            region.Set("ours" + (i % 50).ToString(CultureInfo.InvariantCulture), i);
            Thread.Yield();
        }

        foreach (Process script in scripts) Assert.That(script.ExitCode, Is.Zero, script.StandardError.ReadToEnd());
        string[] keys = [.. region.Read().Root.EnumerateObject().Select(property => property.Name)];
        for (int s = 0; s < 2; s++)
        {
            for (int i = 1; i <= 15; i++) Assert.That(keys, Does.Contain($"s{s}.{i}"));
        }
    }

    [Test]
    public void A_value_that_does_not_fit_is_refused_whole_with_both_sizes()
    {
        Create(1000).Set("a", "1");
        ProgramResult result = _workspace.Bash("otto_mmap_set b \"$(printf 'x%.0s' {1..1100})\"; echo $?; otto_mmap_get --all", null, Here);
        Assert.That(result.Output, Is.EqualTo("5\n{\"a\":\"1\"}\n"));
        Assert.That(result.Errors, Does.Contain("would need 1116 bytes, it has 1024"));
    }

    [Test]
    public void A_foreign_file_without_a_trailer_is_read_and_written()
    {
        Foreign("{\"a\":1}", 100);
        Assert.That(_workspace.Bash("otto_mmap_get a && otto_mmap_set b 2 && otto_mmap_get --all", null, Here).Output,
            Is.EqualTo("1\n{\"a\":1,\"b\":\"2\"}\n"));
        Assert.That(new FileInfo(FilePath).Length, Is.EqualTo(100), "the size is not changed");
        File.WriteAllBytes(FilePath, new byte[64]);
        Assert.That(_workspace.Bash("otto_mmap_get --all && otto_mmap_set b 2 && otto_mmap_get b", null, Here).Output,
            Is.EqualTo("{}\n2\n"));
    }

    [Test]
    public void Python_reads_what_a_script_wrote()
    {
        Assert.That(_workspace.Bash("otto_mmap_set t name 'grüße \"x\"'", null, Here).Code, Is.Zero);
        Assert.That(_workspace.Python("""
            import json, mmap, os, struct
            with open(os.environ["OTTO_MMAP_PATH"], "r+b") as f:
                m = mmap.mmap(f.fileno(), 0)
                n, = struct.unpack("<I", m[:4])
                print(json.loads(m[4:4 + n].decode())["name"])
            """, Here).ToString(), Is.EqualTo("exit 0\ngrüße \"x\"\n"));
    }

    [Test]
    public void What_is_no_region_gives_a_code_and_a_message()
    {
        Assert.That(_workspace.Bash("otto_mmap_get a", null, Here),
            Is.EqualTo(new ProgramResult(3, "", $"otto_mmap_get: there is no region {FilePath}\n")));
        File.WriteAllText(FilePath, "garbage that is long enough for a length");
        AssertBoth(1, "damaged");
        Foreign("[1]", 100);
        AssertBoth(1, "damaged");
        Foreign("{\"a\":", 100);
        AssertBoth(1, "damaged");
        File.Delete(FilePath);
        Create();
        byte[] bytes = File.ReadAllBytes(FilePath);
        bytes[^30] ^= 1; // the state, not its complement
        File.WriteAllBytes(FilePath, bytes);
        AssertBoth(1, "damaged");
        File.Move(FilePath, FilePath + ".real");
        File.CreateSymbolicLink(FilePath, FilePath + ".real");
        AssertBoth(4, "denied");
        File.Delete(FilePath);
        Directory.CreateDirectory(FilePath);
        AssertBoth(4, "denied");
        Directory.Delete(FilePath);
        Assert.That(_workspace.Bash("otto_mmap_set ../a b c", null).Code, Is.EqualTo(2));
        Assert.That(_workspace.Bash("otto_mmap_set a 'b c' d", null).Code, Is.EqualTo(2));
        Assert.That(_workspace.Bash("otto_mmap_set a b --json-value '{\"x\":'", null).Code, Is.EqualTo(2));
        Assert.That(_workspace.Bash("otto_mmap_get", null).Code, Is.EqualTo(2));
        Assert.That(_workspace.Bash("otto_mmap_get a", null).Code, Is.EqualTo(2), "no task is named");

        void AssertBoth(int code, string words)
        {
            foreach (string call in (string[])["otto_mmap_get a", "otto_mmap_set a 1"])
            {
                ProgramResult result = _workspace.Bash(call, null, Here);
                Assert.That(result.Code, Is.EqualTo(code), $"{call}: {result}");
                Assert.That(result.Errors, Does.Contain(words));
            }
        }
    }

    private static void AssertWhole(JsonElement value)
    {
        if (value.GetProperty("length").GetInt32() is not (var length and > 0)) return;
        string text = value.GetProperty("first").GetString()!;
        Assert.That(text, Has.Length.EqualTo(length));
        Assert.That(text.Trim(text[0]), Is.Empty);
        Assert.That(value.GetProperty("last").GetString(), Is.EqualTo(text));
    }

    private JsonRegion Create(int capacity = 64 * 1024) =>
        JsonRegion.Create(new RegionLocation("t") { FilePath = FilePath }, new RegionOptions { CapacityBytes = capacity });

    private static JsonRegion Open(string path) => JsonRegion.Open(new RegionLocation("t") { FilePath = path });

    private Process Peer(params string[] arguments) =>
        _workspace.Start(ClientWorkspace.DotNet(), [Path.Combine(AppContext.BaseDirectory, "Otto.Ipc.Peer.dll"), .. arguments]);

    /// <summary>Writes as a program that knows nothing but length and text; into a new file
    /// where a size is given.</summary>
    private void Foreign(string text, int size)
    {
        byte[] json = System.Text.Encoding.UTF8.GetBytes(text);
        if (size > 0) File.WriteAllBytes(FilePath, new byte[size]);
        using FileStream file = File.Open(FilePath, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        file.Write(BitConverter.GetBytes(json.Length));
        file.Write(json);
    }
}
