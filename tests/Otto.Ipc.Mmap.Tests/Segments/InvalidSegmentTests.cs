using System.Buffers.Binary;
using System.Diagnostics;
using System.Numerics;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Tests.Segments;

// I7: what does not fit is refused, the message says which, and not a byte of it is changed.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class InvalidSegmentTests
{
    private static readonly MmapQueueOptions Options = new() { Slots = 16, SlotBytes = 64, MaxAttempts = 5 };
    private readonly TestWorkspace _workspace = new();
    private string _path = "";

    [SetUp]
    public void Make()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", Options);
        queue.TrySend("kept"u8);
        _path = _workspace.PathOf("jobs", SegmentShape.Queue);
    }

    [TearDown]
    public void CleanUp()
    {
        // What a test spoilt on purpose is its own to clear away.
        File.Delete(_path);
        _workspace.Dispose();
    }

    [Test]
    public void A_wrong_magic_is_refused() =>
    Refused<CorruptSegmentException>(0x00, 0x1122334455667788, "magic is 1122334455667788", recheck: false);

    [Test]
    public void Another_version_is_refused() => Refused<SegmentMismatchException>(0x08, 7L, "layout version 7 is not 1", recheck: false);

    [Test]
    public void A_wrong_checksum_is_refused() => Refused<CorruptSegmentException>(0x30, 42, "checksum", recheck: false);

    [Test]
    public void A_header_of_another_size_is_refused() => Refused<CorruptSegmentException>(0x10, 4096 * 1000, "4,096,000", recheck: true);

    [Test]
    public void A_header_of_another_shape_is_refused() =>
    Refused<SegmentMismatchException>(0x28, 1 | 64L << 32, "holds a Stream, not a Queue", recheck: true);

    [Test]
    public void A_header_of_impossible_slots_is_refused([Values(0, -1, 1 << 21)] long slots) =>
    Refused<CorruptSegmentException>(0x20, slots, $"{slots:N0} slots", recheck: true);

    [Test]
    public void A_header_with_other_slots_than_the_file_has_room_for_is_refused() =>
    Refused<CorruptSegmentException>(0x20, 4096, "the header's parts need", recheck: true, new MmapQueueOptions());

    [Test]
    public void A_header_with_its_data_elsewhere_is_refused() =>
    Refused<CorruptSegmentException>(0x18, 0x40000, "its size field is", recheck: true);

    [Test]
    public void A_state_that_is_none_is_refused() => Refused<CorruptSegmentException>(0x80, 9, "state is 9", recheck: false);

    [Test]
    public void A_shortened_file_is_refused()
    {
        using (FileStream file = File.OpenWrite(_path)) file.SetLength(100);
        Refused<CorruptSegmentException>("100 bytes cannot be a segment");
    }

    [Test]
    public void A_file_of_another_size_than_its_header_says_is_refused()
    {
        using (FileStream file = File.OpenWrite(_path)) file.SetLength(file.Length + 4096);
        Refused<CorruptSegmentException>("its header says");
    }

    [Test]
    public void An_empty_file_is_refused()
    {
        File.WriteAllBytes(_path, []);
        Refused<CorruptSegmentException>("0 bytes cannot be a segment");
    }

    [Test]
    public void Stated_options_that_differ_are_refused_with_both_values()
    {
        Refused<SegmentMismatchException>("Slots 32 was asked for, the queue has 16", Options with { Slots = 32 });
        Refused<SegmentMismatchException>("SlotBytes 128 was asked for, the queue has 64", Options with { SlotBytes = 128 });
        Refused<SegmentMismatchException>("MaxAttempts 6 was asked for, the queue has 5", Options with { MaxAttempts = 6 });
    }

    [Test]
    public void A_stated_capacity_of_a_stream_that_differs_is_refused_with_both_values()
    {
        _workspace.Transport.OpenSender("frames", new MmapStreamOptions { Capacity = 8192 }).Dispose();
        var thrown = Assert.Throws<SegmentMismatchException>(
            () => _workspace.Transport.OpenReceiver("frames", new MmapStreamOptions { Capacity = 4096 }));
        Assert.That(thrown!.Message, Does.Contain("4,096").And.Contain("8,192"));
        thrown = Assert.Throws<SegmentMismatchException>(
            () => _workspace.Transport.OpenReceiver("frames", new MmapStreamOptions { MaxSenders = 7 }));
        Assert.That(thrown!.Message, Does.Contain("7 senders").And.Contain("can have 4"));
    }

    [Test]
    public void Options_left_out_take_the_segments_own()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", new MmapQueueOptions { MaxLoanBytes = 0 });
        Assert.That((queue.Capacity, queue.MaxMessageBytes), Is.EqualTo((16, 64)));
    }

    [Test]
    public void Another_owner_is_refused()
    {
        if (!IsRoot) Assert.Ignore("only root can give a file away");
        Run("chown", "12345", _path);
        Refused<UnauthorizedAccessException>("belongs to uid 12345, not to 0");
    }

    [Test]
    public void A_mode_that_lets_others_in_is_refused([Values("640", "604", "660", "606", "610")] string mode)
    {
        Run("chmod", mode, _path);
        Refused<UnauthorizedAccessException>($"mode {mode}");
        Run("chmod", "600", _path);
    }

    [Test]
    public void A_symbolic_link_is_refused()
    {
        string elsewhere = _path + ".target.queue";
        File.Move(_path, elsewhere);
        File.CreateSymbolicLink(_path, elsewhere);
        var thrown = Assert.Throws<IOException>(() => _workspace.Transport.OpenQueue("jobs"));
        Assert.That(thrown!.Message, Does.Contain("symbolic link"));
        Assert.That(new FileInfo(_path).LinkTarget, Is.EqualTo(elsewhere));
        File.Delete(_path);
        File.Delete(elsewhere);
    }

    [Test]
    public void A_directory_and_a_fifo_in_its_place_are_refused()
    {
        File.Delete(_path);
        Run("mkfifo", "-m", "600", _path);
        Assert.That(() => _workspace.Transport.OpenQueue("jobs"),
            Throws.InstanceOf<UnauthorizedAccessException>().With.Message.Contains("not a regular file"));
        File.Delete(_path);
        Directory.CreateDirectory(_path);
        Assert.That(() => _workspace.Transport.OpenQueue("jobs"),
            Throws.InstanceOf<IOException>().Or.InstanceOf<UnauthorizedAccessException>());
        Directory.Delete(_path);
    }

    [Test]
    public void A_directory_that_others_can_write_to_is_refused()
    {
        Run("chmod", "770", _workspace.Directory);
        Assert.That(() => _workspace.Transport.OpenQueue("jobs"),
            Throws.InstanceOf<UnauthorizedAccessException>().With.Message.Contains("770"));
        Run("chmod", "700", _workspace.Directory);
    }

    [Test]
    public void A_directory_of_another_owner_is_refused()
    {
        if (!IsRoot) Assert.Ignore("only root can give a directory away");
        Run("chown", "12345", _workspace.Directory);
        Assert.That(() => _workspace.Transport.OpenQueue("jobs"),
            Throws.InstanceOf<UnauthorizedAccessException>().With.Message.Contains("12345"));
        Run("chown", "0", _workspace.Directory);
    }

    private static bool IsRoot => Environment.UserName == "root";

    private void Refused<T>(long offset, long value, string says, bool recheck, MmapQueueOptions? options = null) where T : Exception
    {
        Change(offset, value, recheck);
        Refused<T>(says, options);
    }

    private void Refused<T>(string says, MmapQueueOptions? options = null) where T : Exception
    {
        byte[] before = File.ReadAllBytes(_path);
        DateTime written = File.GetLastWriteTimeUtc(_path);
        T thrown = Assert.Throws<T>(() => _workspace.Transport.OpenQueue("jobs", options))!;
        Assert.That(thrown.Message, Does.Contain(says));
        Assert.That(thrown.Message, Does.Contain(_path));
        Assert.That(File.ReadAllBytes(_path).AsSpan().SequenceEqual(before), Is.True, "a refused file stays as it is");
        Assert.That(File.GetLastWriteTimeUtc(_path), Is.EqualTo(written));
    }

    /// <summary>Overwrites eight bytes of the header, and makes the checksum fit again if told to.</summary>
    private void Change(long offset, long value, bool recheck)
    {
        byte[] bytes = File.ReadAllBytes(_path);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan((int)offset), value);
        if (recheck)
        {
            uint crc = 0xFFFFFFFF;
            for (int i = 0; i < 0x78; i += 8) crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(i)));
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(0x78), ~crc);
        }

        using FileStream file = File.OpenWrite(_path);
        file.Write(bytes);
    }

    private static void Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(program, arguments);
        process.WaitForExit();
        Assert.That(process.ExitCode, Is.Zero);
    }
}
