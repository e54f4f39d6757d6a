using System.Diagnostics;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Loans;

// Where blocks end: the largest there is, a file system that is full, and all of them lent.

[TestFixture]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class LoanLimitTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void A_block_of_one_gibibyte_is_handed_over()
    {
        const int Bytes = 1 << 30;
        if (new DriveInfo("/dev/shm").AvailableFreeSpace < 3L << 30) Assert.Ignore("less than 3 GiB of shared memory are free here");
        var options = new MmapStreamOptions { Capacity = 4096, MaxSenders = 1, MaxLoanBytes = Bytes };
        using MessageSender sender = _workspace.Transport.OpenSender("frames", options);
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames", options);
        Assert.That(sender.TryLoan(Bytes, out Loan loan), Is.True);
        for (int at = 0; at < Bytes; at += 1 << 20) loan.Span[at] = (byte)(at >> 20);
        loan.Span[^1] = 99;
        Assert.That(sender.TrySend(loan, Bytes), Is.True);
        Assert.That(receiver.TryReceive(out ReadLease lease), Is.True);
        Assert.That((lease.Bytes.Length, lease.Bytes[^1]), Is.EqualTo((Bytes, 99)));
        int wrong = 0;
        for (int at = 0; at < Bytes; at += 1 << 20) wrong += lease.Bytes[at] == (byte)(at >> 20) ? 0 : 1;
        Assert.That(wrong, Is.Zero);
        lease.Dispose();
        Assert.That(PoolBytes.Count(_workspace.Directory, "frames.stream"), Is.EqualTo((0, 0)),
            "so large a block is not kept for the next");
    }

    [Test]
    public void A_full_file_system_refuses_with_numbers_and_recovers_once_the_messages_are_done()
    {
        using PeerProcess peer = _workspace.StartIn(Namespaces.SmallMemory(_workspace.Directory, 8 << 20), "full-queue");
        foreach (string what in new[] { "message", "queue", "stream", "topic", "store" })
            Assert.That(peer.WaitFor($"refused {what}"), Does.Match(@"\d bytes").And.Contain("free"));
        string[] words = peer.WaitFor("done").Split(' ');
        Assert.That(words[1], Is.EqualTo(words[3]));
        peer.WaitFor("recovered");
        Assert.That(peer.WaitForExit(), Is.Zero, peer.Errors);
    }

    [Test]
    public void The_files_of_blocks_that_nobody_borrows_are_given_back()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", new MmapQueueOptions { Slots = 16, SlotBytes = 64 });
        for (int i = 0; i < 4; i++) Assert.That(queue.TrySend(new byte[3_000_000]), Is.True);
        while (queue.TryLease(out WorkLease lease)) lease.Complete();
        Assert.That(PoolBytes.Count(_workspace.Directory, "jobs.queue").Files, Is.EqualTo(4));
        Watchdog.Until(() => PoolBytes.Count(_workspace.Directory, "jobs.queue").Files == 0, "the files to be given back");
        Assert.That(queue.TrySend(new byte[3_000_000]), Is.True);
        Assert.That(queue.TryLease(out WorkLease again), Is.True);
        again.Complete();
    }

    [Test]
    public void A_full_file_system_is_reported_with_the_numbers_and_smaller_loans_still_work()
    {
        if (Environment.UserName != "root") Assert.Ignore("only root can mount a small file system");
        string small = Path.Combine(_workspace.Directory, "small");
        Directory.CreateDirectory(small, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Run("mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", small);
        try
        {
            if (new DriveInfo(small).TotalSize > 2 << 20) Assert.Ignore("no file system could be mounted here");
            var transport = new MmapTransport(new MmapTransportOptions { Directory = small });
            using (WorkQueue queue = transport.OpenQueue("jobs", new MmapQueueOptions { Slots = 16, SlotBytes = 64 }))
            {
                var thrown = Assert.Throws<IOException>(() => queue.TrySend(new byte[4_000_000]))!;
                Assert.That(thrown.Message, Does.Contain("4,194,304").And.Contain("free"));
                Assert.That(queue.TrySend(new byte[100_000]), Is.True);
                Assert.That(queue.TryLease(out WorkLease lease), Is.True);
                Assert.That(lease.Payload.Length, Is.EqualTo(100_000));
                lease.Complete();
                Assert.That(queue.GetCounts().Free, Is.EqualTo(16), "the message that did not fit took nothing with it");
                Assert.That(PoolBytes.Count(small, "jobs.queue"), Is.EqualTo((0, 1)));
            }

            transport.RemoveQueue("jobs");
        }
        finally
        {
            Run("umount", small);
            Directory.Delete(small);
        }
    }

    [Test]
    public async Task A_sender_waits_until_a_block_is_returned_if_all_are_lent()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", new MmapQueueOptions { Slots = 4, SlotBytes = 64 });
        var loans = new List<Loan>();
        while (queue.TryLoan(100, out Loan loan)) loans.Add(loan);
        Assert.That(loans, Has.Count.EqualTo(4 + 64));
        Task sending = queue.SendAsync(new byte[100]).AsTask();
        // The least of a few looks: the runtime compiles in between, and that is time of this process too.
        Assert.That(Enumerable.Range(0, 5).Min(_ => CpuOfAWhile()), Is.LessThan(250), "milliseconds of 300: it does not look all the time");
        Assert.That(sending.IsCompleted, Is.False);
        loans[0].Dispose();
        await Watchdog.WaitAsync(sending);
        Assert.That(queue.TryLease(out WorkLease lease) && lease.Complete(), Is.True);
        foreach (Loan loan in loans.Skip(1)) loan.Dispose();
    }

    private static double CpuOfAWhile()
    {
        TimeSpan before = Environment.CpuUsage.TotalTime;
        long start = Stopwatch.GetTimestamp();
        Watchdog.Until(() => Stopwatch.GetElapsedTime(start) > TimeSpan.FromMilliseconds(300), "a while");
        return (Environment.CpuUsage.TotalTime - before).TotalMilliseconds;
    }

    private static void Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(program, arguments);
        process.WaitForExit();
    }
}
