using System.Buffers.Binary;
using System.Diagnostics;
using Otto.Ipc.Mmap.Regions;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Tests.Regions;

// Whatever stands in the file, or at its place: an answer or a named error, never a crash, a hang or a change to something else's bytes.

internal sealed class RegionHostileTests : RegionTest
{
    private static readonly RegionOptions Hasty = new() { SettleTime = TimeSpan.Zero, LockTimeout = TimeSpan.FromSeconds(5) };

    [Test]
    public void Random_damage_gives_a_value_or_a_named_error()
    {
        byte[][] originals = [Settled(), Committed()];
        var random = new Random(8);
        int read = 0, corrupt = 0;
        Eventually.Ends(
            () =>
            {
                for (int i = 0; i < 1500; i++)
                {
                    byte[] bytes = [.. originals[i % 2]];
                    Damage(bytes, random);
                    File.WriteAllBytes(FilePath, bytes);
                    foreach (Action<JsonRegion> use in new Action<JsonRegion>[] { r => r.Read(), r => r.Set("a", i),
                        r => r.Update(o => o["b"] = i), r => _ = r.CapacityBytes })
                    {
                        try
                        {
                            use(JsonRegion.Open(Location, Hasty));
                            read++;
                        }
                        catch (Exception e) when (e is CorruptSegmentException or RegionFullException)
                        {
                            Assert.That(e.Message, Does.Contain(FilePath).Or.Contain("surrogate"));
                            corrupt++;
                        }
                    }
                }
            },
            "6,000 operations on damaged files");
        Assert.That(read, Is.GreaterThan(500));
        Assert.That(corrupt, Is.GreaterThan(500));
    }

    [Test]
    public void Damage_is_reported_by_field_and_number()
    {
        byte[] settled = Settled();
        int trailer = (int)RegionLayout.TrailerOffset(settled.Length);
        using var scope = Assert.EnterMultipleScope();
        Assert.That(Complaint(settled, b => BinaryPrimitives.WriteUInt32LittleEndian(b, 0xFFFFFFF0)),
            Does.Contain("length").And.Contain("4294967280"));
        Assert.That(Complaint(settled, b => b[4] = (byte)'['), Does.Contain("JSON"));
        Assert.That(Complaint(settled, b => b[6] = 0xFF), Does.Contain("UTF-8"));
        Assert.That(Complaint(settled, b => b[trailer + 0x0C] = 8), Does.Contain("checksum"));
        Assert.That(Complaint(settled, b => Reseal(b, trailer, 0x08, 7)), Does.Contain("version").And.Contain("7"));
        Assert.That(Complaint(settled, b => Reseal(b, trailer, 0x14, 0x7FFFFFFF)), Does.Contain("slot").And.Contain("2147483647"));
        Assert.That(Complaint(settled, b => Reseal(b, trailer, 0x18, 0)), Does.Contain("slots"));
        Assert.That(Complaint(settled, b => Reseal(b, trailer, 0x10, 4000)), Does.Contain("limit").And.Contain("4000"));
        Assert.That(Complaint(settled, b => b[trailer + 0x20]++), Does.Contain("state"));
        Assert.That(Complaint(Committed(), b => b[(int)RegionLayout.ForCapacity(64).SlotAt(StateOf(FilePath).Generation) + 20] ^= 1),
            Does.Contain("slot"));
        Assert.That(Complaint([], _ => { }), Does.Contain("0 bytes"));
        Assert.That(Complaint([1, 0], _ => { }), Does.Contain("2 bytes"));
    }

    [Test]
    public void A_symbolic_link_is_refused_and_its_target_untouched()
    {
        string target = Path.Combine(Folder, "target");
        File.WriteAllText(target, "mine");
        File.CreateSymbolicLink(FilePath, target);
        Refused(r => r.Message.Contains("symbolic link", StringComparison.Ordinal));
        Assert.That(File.ReadAllText(target), Is.EqualTo("mine"));

        File.Delete(target);
        Refused(r => r.Message.Contains("symbolic link", StringComparison.Ordinal));
        Assert.That(File.Exists(target), Is.False);
    }

    [Test]
    public void A_directory_and_a_fifo_are_refused_without_waiting()
    {
        Directory.CreateDirectory(FilePath);
        Refused(r => r.Message.Contains(FilePath, StringComparison.Ordinal));
        Directory.Delete(FilePath);

        Tool("mkfifo", FilePath);
        Eventually.Ends(() => Refused(r => r.Message.Contains("regular file", StringComparison.Ordinal)), "opening a FIFO");
    }

    [Test]
    public void Another_users_file_is_refused_and_untouched()
    {
        if (ProcessIdentity.UserId != 0) Assert.Ignore("needs root, to give a file away");
        JsonRegion.Create(Location).Set("a", 1);
        byte[] before = File.ReadAllBytes(FilePath);
        Tool("chown", "65534", FilePath);
        Refused(r => r.Message.Contains("65534", StringComparison.Ordinal));
        Assert.That(File.ReadAllBytes(FilePath), Is.EqualTo(before));
    }

    [Test]
    public void A_value_that_does_not_fit_is_refused_whole()
    {
        JsonRegion region = JsonRegion.Create(Location, new RegionOptions { CapacityBytes = 1024 });
        region.Set("a", "old");
        byte[] before = File.ReadAllBytes(FilePath);
        RegionFullException? e = Assert.Throws<RegionFullException>(() => region.Set("a", new string('x', 2000)));
        Assert.That(e!.NeededBytes, Is.EqualTo(2000 + """{"a":""}""".Length));
        Assert.That(e.AvailableBytes, Is.EqualTo(1024));
        Assert.That(e.Message, Does.Contain("2,008").And.Contain("1,024"));
        Assert.That(File.ReadAllBytes(FilePath), Is.EqualTo(before));

        region.Set("a", new string('x', 1024 - """{"a":""}""".Length));
        Assert.That(region.Read().Utf8.Length, Is.EqualTo(1024));
    }

    [Test]
    public void A_value_nested_deeper_than_readers_go_is_refused_whole()
    {
        JsonRegion region = JsonRegion.Create(Location);
        region.Set("a", 1);
        System.Text.Json.Nodes.JsonNode deep = 1;
        for (int i = 0; i < 80; i++) deep = new System.Text.Json.Nodes.JsonArray(deep);
        Assert.That(() => region.Set("a", deep), Throws.ArgumentException.With.Message.Contains("depth"));
        Assert.That(region.Get("a")!.Value.GetInt32(), Is.EqualTo(1));
    }

    [Test]
    public void A_full_file_system_is_an_error_with_both_numbers_and_leaves_nothing()
    {
        if (ProcessIdentity.UserId != 0) Assert.Ignore("needs root, to mount a small file system");
        string small = Path.Combine(Folder, "small");
        Directory.CreateDirectory(small);
        if (!TryTool("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small)) Assert.Ignore("mounting is not allowed here");
        try
        {
            RegionLocation location = Location with { FilePath = Path.Combine(small, "region") };
            RegionFullException? e =
                Assert.Throws<RegionFullException>(() => JsonRegion.Create(location, new RegionOptions { CapacityBytes = 1 << 20 }));
            Assert.That(e!.Message, Does.Contain($"{RegionLayout.FileSizeFor(1 << 20):N0}").And.Contain($"{1 << 20:N0}"));
            Assert.That(Directory.GetFileSystemEntries(small), Is.Empty);

            // A sparse foreign file: its pages are asked for before the first byte is written.
            using (FileStream file = File.Create(location.FilePath!)) file.SetLength(3 << 20);
            JsonRegion region = JsonRegion.Open(location);
            e = Assert.Throws<RegionFullException>(() => region.Set("a", 1));
            Assert.That(e!.NeededBytes, Is.EqualTo(3 << 20));
            Assert.That(e.AvailableBytes, Is.InRange(1, 1 << 20));
            Assert.That(region.Read().Root.GetRawText(), Is.EqualTo("{}"));
        }
        finally
        {
            Tool("umount", small);
        }
    }

    private void Refused(Func<UnauthorizedAccessException, bool> says)
    {
        foreach (Action use in new Action[] { () => JsonRegion.Open(Location), () => JsonRegion.OpenOrCreate(Location) })
        {
            UnauthorizedAccessException? e = Assert.Throws<UnauthorizedAccessException>(() => use());
            Assert.That(says(e!), e!.Message);
        }
    }

    private string Complaint(byte[] original, Action<byte[]> damage)
    {
        byte[] bytes = [.. original];
        damage(bytes);
        File.WriteAllBytes(FilePath, bytes);
        try
        {
            JsonRegion.Open(Location, Hasty).Read();
            return "none";
        }
        catch (CorruptSegmentException e)
        {
            return e.Message;
        }
    }

    private static void Reseal(byte[] bytes, int trailer, int field, uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(trailer + field), value);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(trailer + 0x1C), Crc32C.Of(bytes.AsSpan(trailer, 0x1C)));
    }

    private byte[] Settled()
    {
        File.Delete(FilePath);
        JsonRegion region = JsonRegion.Create(Location, new RegionOptions { CapacityBytes = 64 });
        region.Set("key", "value");
        return File.ReadAllBytes(FilePath);
    }

    private byte[] Committed()
    {
        Settled();
        using (ChildProcess writer = ChildProcess.Peer("region-set", FilePath, "key", "other", "kill", nameof(RegionWriteStep.EndFront)))
            writer.AwaitExit();
        return File.ReadAllBytes(FilePath);
    }

    // Bytes anywhere, and whole words where the fields are; often with the checksum made right again, so that the next check is reached.
    private static void Damage(byte[] bytes, Random random)
    {
        int trailer = (int)RegionLayout.TrailerOffset(bytes.Length);
        uint[] words = [0, 1, 2, 63, 64, 65, 4092, 4093, 0x7FFFFFFF, 0x80000000, uint.MaxValue, (uint)random.Next()];
        for (int n = random.Next(1, 4); n > 0; n--)
        {
            uint word = words[random.Next(words.Length)];
            switch (random.Next(5))
            {
                case 0: bytes[random.Next(280)] ^= (byte)random.Next(1, 256); break;
                case 1: bytes[trailer + random.Next(64)] ^= (byte)random.Next(1, 256); break;
                case 2: BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(random.Next(2) * (128 + 80 * random.Next(2) + 8)), word);
                break;
                case 3: Reseal(bytes, trailer, 8 + 4 * random.Next(5), word); break;
                default:
                    ulong state = (ulong)random.NextInt64() & (random.Next(2) == 0 ? 15UL : ulong.MaxValue);
                    BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(trailer + 0x20), state);
                    BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(trailer + 0x28), ~state);
                    break;
            }
        }
    }

    private static void Tool(string program, params string[] arguments) => Assert.That(TryTool(program, arguments), $"{program} failed");

    private static bool TryTool(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0;
    }
}
