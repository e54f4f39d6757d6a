using System.Globalization;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Files.Tests.Queues;

// Whatever lies where a message should: it goes to the dead letters with the reason, or is left alone, and the others are worked on.

[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class InvalidQueueFileTests
{
    private static readonly FilesQueueOptions Options = new() { Capacity = 8, MaxMessageBytes = 100, MaxAttempts = 3 };
    private readonly TestWorkspace _workspace = new();

    private string Root => Path.Combine(_workspace.Directory, "queues/jobs");

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void What_is_no_message_goes_to_the_dead_letters_with_the_reason_and_blocks_no_worker()
    {
        using WorkQueue queue = Open();
        string elsewhere = Path.Combine(_workspace.Directory, "elsewhere");
        File.WriteAllText(elsewhere, "secret");
        File.CreateSymbolicLink(Ready(1), elsewhere);
        using (FileStream file = File.Create(Ready(2))) file.SetLength(1L << 40);
        Directory.CreateDirectory(Ready(3));
        File.WriteAllText(Ready(4), new string('7', 120));
        Assert.That(Shell.Run("/", $"mkfifo -m 600 {Ready(5)}; echo 1 > {Ready(6)}; chmod 666 {Ready(6)}").Code, Is.Zero);
        queue.TrySend("work"u8);
        Assert.That(queue.TryLease(out WorkLease lease), Is.True);
        Assert.That(lease.Payload.ToArray(), Is.EqualTo("work"u8.ToArray()));
        lease.Complete();
        Assert.That(queue.GetDeadLetters().Select(letter => letter.Reason), Is.EqualTo(new[]
        {
            Has("symbolic link"), Has("1,099,511,627,776 bytes"), Has("not a plain file"), Has("120 bytes exceeds the limit of 100"),
            Has("not a plain file"), Has("mode 666"),
        }).Using<string, string>((found, part) => found.Contains(part, StringComparison.Ordinal)));
        foreach (DeadLetter letter in queue.GetDeadLetters().Where(letter => !letter.Reason.Contains("plain", StringComparison.Ordinal)))
            Assert.That(queue.DeleteDeadLetter(letter.Id), Is.True);
        Assert.That(File.ReadAllText(elsewhere), Is.EqualTo("secret"));

        static string Has(string part) => part;
    }

    [Test]
    public void Files_of_other_names_are_left_alone()
    {
        using WorkQueue queue = Open();
        string[] names = ["notes.json", "1-2.json", "1-2-0.json", "1-2-3.txt", ".1-2-3.json.swp", "-1-2-3.json", "1-2-999.json",
            "99999999999999999999-1-1.json"];
        foreach (string name in names) File.WriteAllText(Path.Combine(Root, "ready", name), "{}");
        Assert.That(queue.TryLease(out _), Is.False);
        Assert.That(queue.GetCounts().Free, Is.EqualTo(queue.Capacity));
        Assert.That(Directory.GetFiles(Path.Combine(Root, "ready")).Select(Path.GetFileName), Is.EquivalentTo(names));
        foreach (string name in names) File.Delete(Path.Combine(Root, "ready", name));
    }

    [Test]
    public void Plain_words_in_a_file_are_a_message()
    {
        using WorkQueue queue = Open();
        File.WriteAllText(Ready(1), "resize a.jpg\r\n");
        Assert.That(queue.TryLease(out WorkLease lease), Is.True);
        Assert.That(lease.Payload.ToArray(), Is.EqualTo("resize a.jpg"u8.ToArray()));
        Assert.That(lease.Complete(), Is.True);
    }

    [Test]
    public void A_lost_sequence_is_made_anew_from_the_messages([Values] bool emptied)
    {
        using WorkQueue queue = Open();
        for (byte i = 0; i < 3; i++) queue.TrySend([i], TimeSpan.Zero, out _);
        string path = Path.Combine(Root, "sequence");
        if (emptied) File.WriteAllText(path, "");
        else File.Delete(path);
        Assert.That(queue.TrySend([3], TimeSpan.Zero, out WorkId id), Is.True);
        Assert.That(id.ToToken().Word, Is.EqualTo(4));
        for (byte i = 0; i < 4; i++)
        {
            Assert.That(queue.TryLease(out WorkLease lease), Is.True);
            Assert.That(lease.Payload.ToArray(), Is.EqualTo(new[] { i }));
            lease.Complete();
        }
    }

    [Test]
    public void A_sequence_that_is_none_is_refused_with_the_way_out()
    {
        using WorkQueue queue = Open();
        queue.TrySend("1"u8);
        string path = Path.Combine(Root, "sequence");
        File.WriteAllText(path, "garbage");
        Assert.That(() => queue.TrySend("2"u8),
            Throws.TypeOf<CorruptSegmentException>().With.Message.Contains(path).And.Message.Contains("garbage"));
        File.WriteAllText(path, "");
        Assert.That(queue.TrySend("2"u8), Is.True);
    }

    [Test]
    public void A_sender_that_stopped_in_the_sequence_is_named_and_blocks_no_worker()
    {
        using WorkQueue queue =
            new FilesTransport(_workspace.Options with { LockTimeout = TimeSpan.FromMilliseconds(50) }).OpenQueue("jobs", Options);
        queue.TrySend("1"u8);
        using System.Diagnostics.Process holder =
            Shell.Start(_workspace.Directory, "exec flock queues/jobs/sequence bash -c 'echo held; read -r _'");
        Assert.That(holder.StandardOutput.ReadLine(), Is.EqualTo("held"));
        Assert.That(() => queue.TrySend("2"u8),
            Throws.TypeOf<TimeoutException>().With.Message.Contains("sequence").And.Message.Contains("(flock)"));
        Assert.That(queue.TryLease(out WorkLease lease), Is.True);
        Assert.That(lease.Complete(), Is.True);
        holder.StandardInput.WriteLine("go");
        holder.WaitForExit();
        Assert.That(queue.TrySend("2"u8), Is.True);
    }

    [Test]
    public void Stated_sizes_that_differ_from_the_queues_are_refused_with_both()
    {
        Open().Dispose();
        Assert.That(() => _workspace.Transport.OpenQueue("jobs", Options with { Capacity = 9 }),
            Throws.ArgumentException.With.Message.Contains('9').And.Message.Contains('8'));
        Assert.That(() => _workspace.Transport.OpenQueue("jobs", new FilesQueueOptions { MaxAttempts = 255 }),
            Throws.TypeOf<ArgumentOutOfRangeException>());
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs");
        Assert.That((queue.Capacity, queue.MaxMessageBytes), Is.EqualTo((8, 100)));
    }

    [Test]
    public void A_queue_of_files_lends_nothing_and_the_error_states_it()
    {
        using WorkQueue queue = Open();
        Assert.That(() => queue.TryLoan(10, out _), Throws.TypeOf<NotSupportedException>());
        Assert.That(() => queue.TrySend(default(Loan), 1), Throws.TypeOf<NotSupportedException>());
    }

    [Test]
    public void Messages_in_a_lease_directory_without_a_worker_are_redelivered()
    {
        Open().Dispose();
        Assert.That(Shell.Run(Root, "mkdir -m 700 leased/nobody && echo 1 > leased/nobody/1-1-1.json && echo half > leased/nobody/7.new "
            + "&& touch leased/nobody/8.reserved").Code, Is.Zero);
        using WorkQueue queue = Open();
        Assert.That(queue.TryLease(out WorkLease lease), Is.True);
        Assert.That((lease.Attempt, lease.Complete()), Is.EqualTo((2, true)));
        Assert.That(queue.GetCounts().Free, Is.EqualTo(queue.Capacity));
        Assert.That(Directory.Exists(Path.Combine(Root, "leased/nobody")), Is.False);
    }

    [Test]
    public void A_message_of_a_worker_that_dies_too_often_is_given_up()
    {
        Open().Dispose();
        Assert.That(Shell.Run(Root, "mkdir -m 700 leased/nobody && echo 1 > leased/nobody/1-1-3.json").Code, Is.Zero);
        using WorkQueue queue = Open();
        Assert.That(queue.TryLease(out _), Is.False);
        DeadLetter letter = queue.GetDeadLetters().Single();
        Assert.That((letter.Attempts, letter.Reason), Is.EqualTo((3, "given up after 3 attempts, the limit is 3; its worker died")));
        Assert.That(queue.RequeueDeadLetter(letter.Id), Is.True);
        Assert.That(queue.TryLease(out WorkLease lease) && lease.Complete(), Is.True);
        Assert.That(Directory.GetFiles(Path.Combine(Root, "dead")), Is.Empty);
    }

    private WorkQueue Open() => _workspace.Transport.OpenQueue("jobs", Options);

    private string Ready(int id) =>
        Path.Combine(Root, "ready", string.Create(CultureInfo.InvariantCulture, $"{id:D13}-{MessageIds + id}-1.json"));

    // As a script makes them, from the time.
    private const long MessageIds = 1_763_700_000_000_000_000;
}
