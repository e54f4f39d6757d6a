using System.Diagnostics;
using System.Text.Json;
using Otto.Ipc;
using Otto.Ipc.Mmap;
using Otto.Queue;
using Otto.Queue.Tests.Support;

namespace Otto.Tools.Tests;

// otto queue as shells use it: real commands run for each task, in shared memory; the same over Redis where a server is installed.

internal sealed class QueueToolTests : ToolTest
{
    [SetUp]
    public void MakePrivate() => File.SetUnixFileMode(Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

    private Result Queue(params string[] arguments) => Run("otto", ["queue", arguments[0], "--dir", Folder, .. arguments[1..]]);

    private static JsonElement[] Lines(Result result)
    {
        Assert.That(result.Code, Is.Zero, result.ToString());
        return [.. result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static l => JsonDocument.Parse(l).RootElement)];
    }

    [Test]
    public void A_command_runs_for_each_task_with_its_payload_and_its_names()
    {
        Result sent = Bash($"printf 'one\\ntwo\\nthree\\n' | otto queue send words --dir {Folder}");
        Assert.That(sent.Code, Is.Zero, sent.ToString());
        string[] lines = sent.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(lines, Has.Length.EqualTo(3).And.All.Match("^[0-9a-f]{32} SharedMemory: no worker is known: the segment keeps it$"));

        Result worked = Bash(
            $$"""
            otto queue work words --dir {{Folder}} --count 3 \
                -- sh -c 'echo "$OTTO_TASK_ID $OTTO_TASK_NAME $OTTO_TASK_QUEUE $OTTO_TASK_ATTEMPT $(cat)"'
            """);

        Assert.That(worked.Code, Is.Zero, worked.ToString());
        Assert.That(worked.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries),
            Is.EqualTo(lines.Zip((string[])["one", "two", "three"], static (l, w) => $"{l[..32]} words words 1 {w}")));
        Assert.That(worked.Errors, Does.Contain("3 tasks done, 0 attempts failed, 0 given up"));
    }

    [Test]
    public void Many_senders_at_once_wait_for_a_place_in_a_small_queue()
    {
        // Its creator keeps one of four places.
        using WorkQueue queue = new MmapTransport(new() { Directory = Folder }).OpenQueue("crowd", new() { MaxParticipants = 4 });
        Result sent = Bash(
            $$"""seq 40 | xargs -P 12 -I{} sh -c 'otto queue send crowd {} --dir {{Folder}} >/dev/null || echo failed {} $?'""");
        Assert.That((sent.Code, sent.Output), Is.EqualTo((0, "")), sent.ToString());
        Assert.That(queue.GetCounts().Ready, Is.EqualTo(40));
    }

    [Test]
    public void Lines_are_sent_as_they_come_and_as_the_bytes_that_they_are()
    {
        // The second line is only written once the first was sent and done.
        Result result = Bash($"""
            mkfifo {Folder}/pipe
            otto queue send bytes --dir {Folder} <{Folder}/pipe >{Folder}/ids &
            exec 5>{Folder}/pipe
            printf 'a\377b\n' >&5
            otto queue work bytes --dir {Folder} --count 1 -- xxd -p
            printf 'two\n' >&5
            exec 5>&-
            otto queue work bytes --dir {Folder} --count 1 -- cat
            wait
            """);
        Assert.That(result.Code, Is.Zero, result.ToString());
        Assert.That(result.Output, Is.EqualTo("61ff62\ntwo"));
    }

    [Test]
    public void Names_of_files_pass_unchanged_with_zero_bytes_between_them()
    {
        Result result = Bash($$"""
            mkdir {{Folder}}/files; cd {{Folder}}/files
            touch -- -dash 'a b' $'line\nfeed' $'raw\xff' ''$'\n'
            find . -type f -printf '%P\0' | otto queue send names --null --dir {{Folder}} >/dev/null
            printf 'last' | otto queue send names -0 --dir {{Folder}} >/dev/null
            otto queue work names --dir {{Folder}} --count 6 -- bash -c 'cat; printf "\0"' | sort -z | xxd -p | tr -d '\n'; echo
            { find . -type f -printf '%P\0'; printf last; } | sort -z | xxd -p | tr -d '\n'
            rm -r {{Folder}}/files
            """);
        Assert.That(result.Code, Is.Zero, result.ToString());
        string[] lines = result.Output.Split('\n');
        Assert.That(lines[0], Is.EqualTo(lines[1] + "00").Or.EqualTo(lines[1]).And.Length.GreaterThan(40), result.ToString());
        Assert.That(Queue("send", "names", "x", "--null").Code, Is.EqualTo(2));
    }

    [Test]
    public void The_standard_error_of_a_command_is_passed_through_and_only_its_end_is_kept()
    {
        Queue("send", "jobs", "x");
        // With a heap of 64 MiB.
        Result result = Bash($"DOTNET_GCHeapHardLimit=4000000 otto queue work jobs --dir {Folder} --count 1 --retry 0 -- sh -c 'echo "
            + $"first >&2; head -c 100000000 /dev/zero >&2; echo last words >&2; exit 1' 2>&1 >/dev/null | wc -c");
        Assert.That(long.Parse(result.Output, System.Globalization.CultureInfo.InvariantCulture), Is.GreaterThan(100_000_000),
            result.ToString());
        Assert.That(Queue("dead", "jobs").Output, Does.Contain("last words").And.Not.Contain("first"));
    }

    [Test]
    public void A_command_that_fails_is_tried_again_then_listed_and_requeued()
    {
        Queue("send", "jobs", "bad");
        Result worked = Bash($"otto queue work jobs --dir {Folder} --count 1 --retry 1 -- sh -c 'echo no such file >&2; exit 7'");
        Assert.That(worked.Code, Is.EqualTo(1), worked.ToString());
        Assert.That(worked.Errors, Does.Contain("0 tasks done, 2 attempts failed, 1 given up"));

        JsonElement dead = Lines(Queue("dead", "jobs", "--json")).Single();
        Assert.That((dead.GetProperty("attempts").GetInt32(), dead.GetProperty("reason").GetString()),
            Is.EqualTo((2, "attempt 2 of 2: InvalidOperationException: sh ended with code 7: no such file")));
        string id = dead.GetProperty("id").GetString()!;
        Assert.That(Queue("requeue", "jobs", new string('0', 32)).ToString(),
            Does.StartWith("exit 1\n0\n").And.Contain("no dead letter 0000"));
        Assert.That(Queue("requeue", "jobs", id).Output, Is.EqualTo("1\n"));
        Assert.That(Bash($"otto queue work jobs --dir {Folder} --count 1 -- cat").Output, Is.EqualTo("bad"));
        Assert.That(Queue("drop", "jobs", "--all").Output, Is.EqualTo("0\n"));
        Assert.That(Queue("requeue", "jobs").Code, Is.EqualTo(2), "which ones?");
    }

    [Test]
    public async Task Stat_names_and_counts_what_no_worker_handles()
    {
        static TaskQueueOptions Options(string folder) => new TaskQueueOptions().UseSharedMemory(o => o.Directory = folder);
        await using TaskQueue worker = new(
            Options(Folder).AddHandler<byte[]>("a", static (_, _, _) => default, static h => h.Queue = "jobs"));
        await worker.StartAsync();
        await using TaskQueue producer = new(Options(Folder).AddProducer<byte[]>("b", static h => h.Queue = "jobs"));
        for (int i = 0; i < 3; i++) await producer.EnqueueAsync(new byte[1]);
        await Eventually.Holds(() => worker.GetStatistics()[0].Returned == 3);
        Assert.That(Queue("stat", "jobs").Output,
            Is.EqualTo("SharedMemory: 0 ready, 0 leased, 0 delayed, 0 dead, 3 passed over; 1 worker; no worker handles 3 x 'b'\n"));
        Assert.That(Lines(Queue("stat", "jobs", "--json")).Single().GetProperty("unhandled").GetProperty("b").GetInt32(), Is.EqualTo(3));
    }

    [Test]
    public void Stat_and_route_say_what_is_there_and_why()
    {
        Assert.That(Queue("stat", "none").ToString(), Is.EqualTo("exit 3\n\notto: there is no queue 'none'\n"));
        Assert.That(Directory.GetFiles(Folder), Is.Empty, "looking makes nothing");
        Queue("send", "jobs", "x");
        Queue("send", "jobs", "y", "--delay", "3600");
        JsonElement stat = Lines(Queue("stat", "jobs", "--json")).Single();
        Assert.That((stat.GetProperty("route").GetString(), stat.GetProperty("ready").GetInt32(), stat.GetProperty("delayed")
            .GetInt32(), stat.GetProperty("workers").GetInt32()), Is.EqualTo(("SharedMemory", 1, 1, 0)));
        Assert.That(Queue("stat", "jobs").Output,
            Does.Match("^SharedMemory: 1 ready, 0 leased, 1 delayed, 0 dead, oldest [0-9.]+ s; 0 workers\n$"));

        Assert.That(Queue("route", "jobs").Output, Does.StartWith("SharedMemory: no worker is known: the segment keeps it\n"));
        using WorkQueue worker = new MmapTransport(new MmapTransportOptions { Directory = Folder }).OpenQueue("jobs");
        worker.SetConsumer(true);
        Assert.That(Queue("route", "jobs").Output,
            Does.StartWith("SharedMemory: worker attached on this machine\n").And.Contain("1 worker\n"));
        Assert.That(Queue("route", "jobs", "--durability", "cluster").ToString(),
            Does.StartWith("exit 1\n").And.Contain("add Otto.Queue.Redis"));
        Assert.That(Queue("route", "jobs", "--durability", "eternal").Code, Is.EqualTo(2));
    }

    [Test]
    public void A_key_refuses_the_second_and_a_cancel_takes_the_first_back()
    {
        string id = Queue("send", "jobs", "x", "--key", "k").Output[..32];
        Result second = Queue("send", "jobs", "y", "--key", "k", "--json");
        Assert.That(second.Code, Is.EqualTo(1));
        Assert.That(second.Output, Does.Contain($"\"id\":\"{id}\"").And.Contain("\"outcome\":\"Duplicate\""));
        Assert.That(Queue("cancel", "jobs", id).Output, Is.EqualTo("removed\n"));
        Assert.That(Queue("cancel", "jobs", id).Code, Is.EqualTo(1));
        Assert.That(Queue("send", "jobs", "z", "--key", "k").Code, Is.Zero);
    }

    [Test]
    public async Task A_running_command_is_killed_when_its_task_is_cancelled_and_the_worker_continues()
    {
        string id = Queue("send", "jobs", "600").Output[..32];
        Queue("send", "jobs", "0");
        using Process worker =
            Start("otto", "queue", "work", "jobs", "--dir", Folder, "--count", "1", "--", "sh", "-c", "read s; echo begun $s; sleep $s");
        Assert.That(await worker.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60)), Is.EqualTo("begun 600"));

        Assert.That(Queue("cancel", "jobs", id).Output, Is.EqualTo("requested\n"));

        Assert.That(await worker.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60)), Is.EqualTo("begun 0"));
        await worker.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(60));
        Assert.That(worker.ExitCode, Is.Zero);
    }

    [Test]
    public async Task A_worker_that_is_asked_to_stop_finishes_what_it_runs_and_leaves_the_rest()
    {
        Bash($"printf '1\\n2\\n3\\n' | otto queue send jobs --dir {Folder}");
        string go = Path.Combine(Folder, "go");
        using Process worker =
            Start("otto", "queue", "work", "jobs", "--dir", Folder, "--", "sh", "-c",
                $"echo begun; while [ ! -e {go} ]; do sleep 0.02; done; cat");
        Assert.That(await worker.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60)), Is.EqualTo("begun"));
        Process.Start("kill", ["-TERM", $"{worker.Id}"]).WaitForExit();
        // It has heard: it takes no more.
        await Eventually.Holds(() => Lines(Queue("stat", "jobs", "--json")).Single().GetProperty("workers").GetInt32() == 0);
        await File.WriteAllTextAsync(go, "");
        Task<string> output = worker.StandardOutput.ReadToEndAsync(), errors = worker.StandardError.ReadToEndAsync();
        await worker.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(60));
        File.Delete(go);

        Assert.That((worker.ExitCode, await output), Is.EqualTo((0, "1")));
        Assert.That(await errors, Does.Contain("1 tasks done"));
        Assert.That(Lines(Queue("stat", "jobs", "--json")).Single().GetProperty("ready").GetInt32(), Is.EqualTo(2));
    }

    [Test]
    public void Queues_streams_and_segments_need_no_openssl()
    {
        // A mount namespace in which every libssl and libcrypto is an empty file.
        const string Hide = """
            for file in $(find / -xdev \( -name 'libssl*.so*' -o -name 'libcrypto*.so*' \) -type f 2>/dev/null); do
                mount --bind /dev/null "$file"
            done
            """;
        if (Bash("unshare -rm mount --bind /dev/null /etc/passwd").Code != 0) Assert.Ignore("needs unshare -rm");
        Result result = Bash($$"""
            mkdir -m 700 {{Folder}}/s; export OTTO_SHM_DIR={{Folder}}/s; cat > {{Folder}}/run <<'END'
            {{Hide}}
            set -e
            otto queue send jobs x >/dev/null
            head -c 100000 /dev/zero | otto queue send jobs - >/dev/null
            otto queue work jobs --count 2 -- wc -c
            otto queue stat jobs
            seq 3 | otto send lines --end; head -c 100000 /dev/zero | otto send lines --end
            otto recv lines | wc -c
            otto ipc ls >/dev/null
            END
            unshare -rm bash {{Folder}}/run
            """);
        const string Output = "1\n100000\nSharedMemory: 0 ready, 0 leased, 0 delayed, 0 dead; 0 workers\n100007\n";
        Assert.That((result.Code, result.Output), Is.EqualTo((0, Output)), result.ToString());
    }

    [Test]
    public void Mistakes_are_named()
    {
        Assert.That(Queue("send", "no/name", "x").ToString(), Does.StartWith("exit 2\n").And.Contain("U+002F"));
        Assert.That(Queue("send", "jobs", "x", "--as", "xml").ToString(), Does.StartWith("exit 2\n").And.Contain("raw or json"));
        Assert.That(Queue("cancel", "jobs", "12").ToString(), Does.StartWith("exit 2\n").And.Contain("32 hexadecimal digits"));
        Assert.That(Queue("work", "jobs").Code, Is.EqualTo(2));
    }
}
