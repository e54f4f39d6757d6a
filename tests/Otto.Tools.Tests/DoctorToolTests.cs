using System.Diagnostics;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.RegularExpressions;
using Otto.Ipc;
using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap;
using Otto.Queue.Redis.Tests.Support;

namespace Otto.Tools.Tests;

// otto doctor on a machine where something is wrong: it names it and what to change, and touches nothing.

internal sealed partial class DoctorToolTests : ToolTest
{
    [SetUp]
    public void MakePrivate() => File.SetUnixFileMode(Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

    [Test]
    public void A_directory_that_works_has_no_problem()
    {
        Finding[] findings = Doctor("");
        foreach (string check in (string[])["directory", "file-system", "free", "segments", "open-files", "mappings", "file-locks",
            "futex-waitv", "membarrier", "memfd", "clock", "boot-id", "sockets"])
            Assert.That(findings.Any(f => f.Check == check), Is.True, check);
        Assert.That(findings.Where(static f => f.Area is "directory" or "variables" or "leftovers").Select(static f => f.Level),
            Is.All.EqualTo("ok"), string.Join('\n', findings.AsEnumerable()));
    }

    [Test]
    public void Lines_for_people_name_level_area_and_change()
    {
        Result result = Bash("OTTO_SHM_DIR=$OTTO_MMAP_DIR OTTO_FENCE=some otto doctor");
        Assert.That(result.Code, Is.EqualTo(1), result.ToString());
        Assert.That(result.Output, Does.Match(@"(?m)^ok       directory  /dev/shm/\S+ exists, owner \d+, mode 700$").And.Match(
            @"(?m)^problem  variables  OTTO_FENCE=some\n {20}change: full is the only value; unset it otherwise$").And.Match(
                @"(?m)^[1-9]\d* problems?, \d+ notes?$"));
    }

    [Test]
    public void Every_documented_variable_is_known()
    {
        string[] names = [.. Variable().Matches(File.ReadAllText(Path.Combine(DocumentExamples.Root, "docs", "configuration.md")))
            .Select(static match => match.Value).Distinct().Except(["OTTO_SHM_DIR", "OTTO_MMAP_DIR"])];
        Assert.That(names, Has.Length.GreaterThan(10));
        Finding[] findings = Doctor($"export {string.Join(' ', names.Select(static name => name + "="))}");
        Assert.That(findings.Where(static f => f.Text.Contains("no program reads it", StringComparison.Ordinal)), Is.Empty);
    }

    [TestCase("chmod 770 $OTTO_MMAP_DIR", "$OTTO_MMAP_DIR", "mode 770", "chmod 700 ")]
    [TestCase("ln -s /tmp $OTTO_MMAP_DIR/link", "$OTTO_MMAP_DIR/link", "a symbolic link", "OTTO_SHM_DIR")]
    [TestCase("touch $OTTO_MMAP_DIR/file", "$OTTO_MMAP_DIR/file", "not a directory", "OTTO_SHM_DIR")]
    public void A_directory_that_cannot_be_used_is_a_problem(string prepare, string directory, string text, string change)
    {
        Finding[] findings = Doctor($"{prepare}; export OTTO_SHM_DIR={directory}", code: 1);
        Finding problem = findings.First(static f => f.Area == "directory" && f.Level == "problem");
        Assert.That(problem.Text, Does.Contain(text));
        Assert.That(problem.Change, Does.Contain(change));
    }

    [Test]
    public void A_directory_that_is_missing_is_not_created()
    {
        Finding[] findings = Doctor("export OTTO_SHM_DIR=$OTTO_MMAP_DIR/none");
        Assert.That(findings.Single(static f => f.Check == "directory").Text, Does.Contain("does not exist yet"));
        Assert.That(Directory.Exists(Path.Combine(Folder, "none")), Is.False);
    }

    [Test]
    public void Few_open_files_are_a_problem()
    {
        Finding problem = Doctor("ulimit -n 80", code: 1).Single(static f => f.Check == "open-files");
        Assert.That((problem.Level, problem.Value), Is.EqualTo(("problem", (long?)80)));
        Assert.That(problem.Change, Does.Contain("LimitNOFILE"));
    }

    [TestCase(OldKernel.NotKnown, "does not have them")]
    [TestCase(OldKernel.NotPermitted, "a seccomp filter refuses them")]
    public void What_the_kernel_lacks_is_a_note_and_tasks_run_all_the_same(int error, string text)
    {
        string[] launcher = [.. OldKernel.WithoutAny(error)];
        string script = "export OTTO_SHM_DIR=$OTTO_MMAP_DIR; otto doctor --json; echo $?; echo task | otto queue send jobs - >/dev/null; "
            + "otto queue work jobs --count 1 -- cat";
        Result result = Run(launcher[0], [.. launcher[1..], "bash", "-c", script]);
        string[] lines = result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Finding[] findings = [.. lines[..^2].Select(Finding.Parse)];
        foreach (string check in (string[])["futex-waitv", "membarrier", "memfd"])
        {
            Finding finding = findings.Single(f => f.Check == check);
            Assert.That(finding.Level, Is.EqualTo("note"));
            Assert.That(finding.Text, Does.Contain(text));
        }

        Assert.That(lines[^1], Is.EqualTo("task"));
    }

    [TestCase("OTTO_TRANSPORT=pigeon:", "OTTO_TRANSPORT", "problem", "mmap")]
    [TestCase("OTTO_PLATFORM=linux", "OTTO_PLATFORM", "problem", "portable")]
    [TestCase("OTTO_FIFO_DIR=relative/path", "OTTO_FIFO_DIR", "problem", "full path")]
    [TestCase("OTTO_PID=me", "OTTO_PID", "problem", "number")]
    [TestCase("OTTO_SHMDIR=/dev/shm/x", "OTTO_SHMDIR", "note", "OTTO_SHM_DIR")]
    public void A_variable_with_a_wrong_name_or_value_is_found(string setting, string name, string level, string change)
    {
        Finding finding = Doctor($"export {setting}", code: level == "problem" ? 1 : null).Single(f => f.Check == name);
        Assert.That(finding.Level, Is.EqualTo(level));
        Assert.That(finding.Change, Does.Contain(change));
    }

    [TestCase("1000", "", "", "problem", "loginctl enable-linger ")]
    [TestCase("1000", "RemoveIPC=no", "", "ok", "RemoveIPC=no")]
    [TestCase("1000", "", "linger", "ok", "lingers")]
    [TestCase("999", "", "", "ok", "user of the system")]
    public void Shared_memory_that_is_deleted_at_logout_is_a_problem(string user, string setting, string linger, string level, string text)
    {
        string[] launcher = [.. Namespaces.Require("unshare", "--map-root-user", "--mount")];
        string script = $$"""
            mount -t tmpfs none /run && mkdir -p /run/systemd/system /run/systemd/logind.conf.d
            echo '{{setting}}' >/run/systemd/logind.conf.d/zz.conf
            mount -t tmpfs none /var/lib && mkdir -p /var/lib/systemd/linger
            name=$(getent passwd {{user}} | cut -d: -f1); [ -z '{{linger}}' ] || touch "/var/lib/systemd/linger/${name:-#{{user}}}"
            OTTO_SHM_DIR=$OTTO_MMAP_DIR exec unshare --map-user={{user}} otto doctor --json
            """;
        Result result = Run(launcher[0], [.. launcher[1..], "bash", "-c", script]);
        Finding finding = result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(Finding.Parse)
            .Single(static f => f.Check == "remove-ipc");
        Assert.That(finding.Level, Is.EqualTo(level), finding.ToString());
        Assert.That(finding.Text + finding.Change, Does.Contain(text));
    }

    [Test]
    public async Task What_ended_programs_left_over_is_named_with_the_command_that_removes_it()
    {
        MmapTransport transport = new(new MmapTransportOptions { Directory = Folder });
        transport.OpenQueue("empty").Dispose();
        using (WorkQueue queue = transport.OpenQueue("pending")) queue.TrySend("x"u8);
        foreach (string name in (string[])["broken.stream", "foreign.topic"]) File.WriteAllText(Path.Combine(Folder, name), "no segment");
        File.SetUnixFileMode(Path.Combine(Folder, "broken.stream"), UnixFileMode.UserRead | UnixFileMode.UserWrite);
        using (Process worker = Start("otto", "queue", "work", "killed", "--dir", Folder, "--", "cat"))
        {
            await Queue.Tests.Support.Eventually.Holds(() => File.Exists(Path.Combine(Folder, "killed.queue")));
            worker.Kill();
            await worker.WaitForExitAsync();
        }

        string region = Path.Combine(Folder, "otto-99999999-build");
        File.WriteAllBytes(region, new byte[64]);
        using (var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            socket.Bind(new UnixDomainSocketEndPoint(Path.Combine(Folder, "gone.sock")));
            // Closing it here would delete the file: a killed server leaves it.
            File.CreateSymbolicLink(Path.Combine(Folder, "keep"), Path.Combine(Folder, "gone.sock"));
            File.Move(Path.Combine(Folder, "gone.sock"), Path.Combine(Folder, "left.sock"));
        }

        File.Delete(Path.Combine(Folder, "keep"));
        Assert.That(Bash("mkfifo -m 600 $OTTO_MMAP_DIR/left.fifo").Code, Is.Zero);
        string places = "export OTTO_SOCKET=$OTTO_MMAP_DIR/otto.sock OTTO_FIFO_DIR=$OTTO_MMAP_DIR";
        string before = Listing();

        Finding[] found = [.. Doctor(places, code: 1).Where(static f => f.Area == "leftovers")];

        Assert.That(Listing(), Is.EqualTo(before), "the check changes nothing");
        Assert.That(found.Select(static f => (f.Check, f.Level)), Is.EquivalentTo(new[] { ("empty-segments", "note"),
            ("pending-segment", "note"), ("unreadable-segment", "problem"), ("foreign-file", "problem"), ("region", "note"),
            ("socket", "note"), ("fifo", "note") }),
            string.Join('\n', found.AsEnumerable()));
        Assert.That(found.Single(static f => f.Check == "empty-segments").Text, Does.Contain("empty.queue").And.Contain("killed.queue"));
        foreach (Finding finding in found)
        {
            // The condition under which the command is right is behind it or before it.
            Match command = Command().Match(finding.Change!);
            Assert.That(command.Success, Is.True, finding.Change);
            Assert.That(Bash(command.Value.Replace("rm /", "rm -f /", StringComparison.Ordinal)).Code, Is.Zero, command.Value);
        }

        Assert.That(Doctor(places).Where(static f => f.Area == "leftovers").Select(static f => f.Text),
            Is.EqualTo(new[] { "nothing was left over" }));
    }

    [Test]
    public async Task A_server_of_redis_is_reached_let_in_and_new_enough()
    {
        using RedisServer server = await RedisServer.StartAsync();
        Finding[] good = Redis(server.Configuration);
        Assert.That(good.Select(static f => (f.Check, f.Level)), Is.SupersetOf(new[] { ("version", "ok") }));
        Assert.That(good.Single(static f => f.Check == "latency").Text, Does.Match(@"answers in [\d.]+ ms"));
        Finding password = Redis($"127.0.0.1:{server.Port},password=wrong").Single();
        Assert.That((password.Check, password.Level), Is.EqualTo(("password", "problem")), password.ToString());
        Finding none = Redis("127.0.0.1:1,connectTimeout=300").Single();
        Assert.That((none.Check, none.Level), Is.EqualTo(("reach", "problem")), none.ToString());
        Assert.That(none.Change, Does.Contain("docs/redis.md"));
    }

    [Test]
    public async Task What_a_queue_warns_of_in_a_server_of_redis_is_found_with_what_to_change()
    {
        using RedisServer server = await RedisServer.StartAsync(more: "maxmemory-policy allkeys-lru\n");
        Finding[] found = Redis(server.Configuration);
        Finding eviction = found.Single(static f => f.Check == "eviction");
        Finding persistence = found.Single(static f => f.Check == "persistence");
        Assert.That((eviction.Level, eviction.Change), Is.EqualTo(("problem", "use noeviction")));
        Assert.That((persistence.Level, persistence.Change), Is.EqualTo(("note", "use appendonly yes")));
        Assert.That(persistence.Text, Does.Contain("all tasks are lost when it restarts"));
        using RedisServer replica = await RedisServer.StartReplicaAsync(server);
        Assert.That(Redis(replica.Configuration).Single(static f => f.Check == "replica").Level, Is.EqualTo("problem"));
    }

    private Finding[] Redis(string address) =>
        [.. Doctor($"export OTTO_REDIS='{address}'", code: null).Where(static f => f.Area == "redis")];

    [Test]
    public void The_exit_code_of_a_wrong_option_is_2() => Assert.That(Bash("otto doctor --bogus").Code, Is.EqualTo(2));

    [GeneratedRegex(@"(otto ipc (rm|clean)|rm /)[^,]*?(?=,| if |$)")]
    private static partial Regex Command();

    private string Listing() => Bash("""
        cd $OTTO_MMAP_DIR && stat -c '%n %s %y %z %a' . * && cat *.queue *.stream *.topic otto-* | cksum; ls -A1 | wc -l
        """).Output;

    // Without a code, it must be the one that the findings ask for.
    [GeneratedRegex("OTTO_[A-Z_]+")]
    private static partial Regex Variable();

    private Finding[] Doctor(string prepare, int? code = null)
    {
        Result result = Bash($"export OTTO_SHM_DIR=$OTTO_MMAP_DIR; {(prepare.Length == 0 ? ":" : prepare)}; otto doctor --json");
        Finding[] findings = [.. result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(Finding.Parse)];
        Assert.That(result.Code, Is.EqualTo(code ?? (findings.Any(static f => f.Level == "problem") ? 1 : 0)), result.ToString());
        return findings;
    }

    private sealed record Finding(string Level, string Area, string Check, string Text, string? Change, long? Value)
    {
        public static Finding Parse(string line)
        {
            JsonElement json = JsonDocument.Parse(line).RootElement;
            return new Finding(json.GetProperty("level").GetString()!, json.GetProperty("area").GetString()!,
                json.GetProperty("check").GetString()!, json.GetProperty("text").GetString()!,
                json.TryGetProperty("change", out JsonElement change) ? change.GetString() : null,
                json.TryGetProperty("value", out JsonElement value) ? value.GetInt64() : null);
        }
    }
}
