using System.Diagnostics;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Files.Tests.Queues;

// A script sends with mv, works with mv, and is proven dead by its flock.

[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class ShellQueueTests
{
    // As docs/files.md shows it.
    private const string Worker = """
        set -u
        q=queues/jobs me=bash-$$
        mkdir -m 700 "$q/leased/.$me"
        exec 9> "$q/leased/.$me/lock"
        flock 9
        mv "$q/leased/.$me" "$q/leased/$me"
        for task in "$q"/ready/*.json; do
          mv "$task" "$q/leased/$me/" 2> /dev/null || continue
          task=$q/leased/$me/${task##*/}
          work "$task" 9>&- && rm "$task"
        done
        rm "$q/leased/$me/lock"
        rmdir "$q/leased/$me"
        """;

    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public async Task A_script_sends_a_task()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs");
        ValueTask<WorkLease> waiting = queue.LeaseAsync();
        ShellResult script = _workspace.Bash("""
            q=queues/jobs now=$(date +%s%3N) id=$(date +%s%N)
            echo '{"file":"a.jpg"}' > "$q/ready/.$id" && mv "$q/ready/.$id" "$q/ready/$now-$id-1.json"
            """);
        Assert.That(script.Code, Is.Zero, script.Errors);
        WorkLease lease = await Watchdog.WaitAsync(waiting);
        Assert.That(lease.Payload.ToArray(), Is.EqualTo("{\"file\":\"a.jpg\"}"u8.ToArray()));
        Assert.That(lease.Abandon(), Is.True);
        Assert.That(queue.TryLease(out lease), Is.True);
        Assert.That((lease.Attempt, lease.Complete()), Is.EqualTo((2, true)));
    }

    [Test]
    public void A_script_works()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs");
        for (int i = 0; i < 5; i++) queue.TrySend(System.Text.Encoding.UTF8.GetBytes($"{{\"n\":{i}}}"));
        ShellResult script = _workspace.Bash("work() { jq .n \"$1\"; }\n" + Worker);
        Assert.That((script.Code, script.Output), Is.EqualTo((0, "0\n1\n2\n3\n4\n")), script.Errors);
        Assert.That(queue.GetCounts().Free, Is.EqualTo(queue.Capacity));
    }

    [Test]
    public void A_killed_scripts_task_comes_back()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs");
        queue.TrySend("{\"n\":1}"u8);
        using Process script = Shell.Start(_workspace.Directory, "work() { echo working; read -r _; }\n" + Worker);
        Assert.That(script.StandardOutput.ReadLine(), Is.EqualTo("working"));
        Assert.That(queue.GetCounts().Leased, Is.EqualTo(1));
        Assert.That(queue.WaitToLease(TimeSpan.FromSeconds(1.5)), Is.False, "a live worker's task is not given away");
        script.Kill();
        script.WaitForExit();
        Assert.That(queue.WaitToLease(Watchdog.Limit), Is.True);
        Assert.That(queue.TryLease(out WorkLease lease), Is.True);
        Assert.That((lease.Attempt, lease.Complete()), Is.EqualTo((2, true)));
    }

    [Test]
    public void Ls_cat_and_jq_show_what_is_in_a_queue()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs");
        queue.TrySend("{\"n\":1}"u8);
        queue.TrySend("{\"n\":2}"u8);
        queue.TrySend("{\"n\":3}"u8, TimeSpan.FromHours(1), out _);
        queue.TryLease(out WorkLease lease);
        lease.DeadLetter("no such file: größe.jpg");
        queue.TryLease(out WorkLease held);
        Assert.That(_workspace.Bash(
            "cd queues/jobs; ls; ls dead | sed 's/^[0-9]*-//'; cat dead/*.json dead/*.txt; jq .n leased/*/*.json delayed/*.json").Output,
            Is.EqualTo("dead\ndelayed\nleased\nqueue.json\nready\nsequence\n000000000001-1.json\n000000000001-1.txt\n{\"n\":1}\nno such "
            + "file: größe.jpg\n2\n3\n"));
        Assert.That(_workspace.Bash("ls queues/jobs/leased/*/*.json queues/jobs/delayed").Output,
            Does.Match(@"/[0-9]{13}-000000000002-1\.json\n").And.Match(@"\n[0-9]{13}-000000000003-1-[0-9]+-[0-9a-f]{8}\.json\n"));
        held.Complete();
    }

    [Test]
    public void What_a_script_moves_out_of_the_dead_is_work_again()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs");
        queue.TrySend("1"u8);
        queue.TryLease(out WorkLease lease);
        lease.DeadLetter("later");
        Assert.That(_workspace.Bash("mv queues/jobs/dead/*.json queues/jobs/ready/ && rm queues/jobs/dead/*.txt").Code, Is.Zero);
        Assert.That(queue.WaitToLease(Watchdog.Limit), Is.True);
        Assert.That(queue.TryLease(out lease) && lease.Complete(), Is.True);
    }
}
