using System.Text.Json;
using Otto.Ipc.Mmap.Regions;

namespace Otto.Ipc.Mmap.Tests.Regions;

// Programs that know only "u32 little-endian length, then JSON". Python is the real thing; ForeignWrite is
// one whose moment a test can choose.

internal sealed class RegionForeignTests : RegionTest
{
    private const string ReadMapped = """
        import json, mmap, struct, sys
        with open(sys.argv[1], "rb") as f:
            m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
            n = struct.unpack("<I", m[:4])[0]
            print(json.dumps(json.loads(m[4:4 + n].decode("utf-8")), ensure_ascii=False))
        """;

    private const string WriteMapped = """
        import json, mmap, struct, sys
        with open(sys.argv[1], "r+b") as f:
            m = mmap.mmap(f.fileno(), 0)
            n = struct.unpack("<I", m[:4])[0]
            o = json.loads(m[4:4 + n].decode("utf-8")) if n else {}
            o["python"] = sys.argv[2]
            b = json.dumps(o).encode("utf-8")
            m[:4] = struct.pack("<I", len(b)); m[4:4 + len(b)] = b
        """;

    private const string WritePlain = """
        import json, struct, sys
        b = json.dumps({"python": sys.argv[2], "pi": 3.1400, "big": 12345678901234567890}).encode("utf-8")
        with open(sys.argv[1], sys.argv[3]) as f: f.write(struct.pack("<I", len(b)) + b)
        """;

    private const string MakeSparse = """
        import sys
        with open(sys.argv[1], "wb") as f: f.truncate(int(sys.argv[2]))
        """;

    [Test]
    public void Python_reads_what_we_write()
    {
        JsonRegion.Create(Location).Set("text", "grüße \"quoted\" \n 😀");
        Assert.That(JsonElement.Parse(Run(ReadMapped, FilePath)).GetProperty("text").GetString(), Is.EqualTo("grüße \"quoted\" \n 😀"));
    }

    [Test]
    public void We_read_and_keep_what_python_stores_through_a_mapping()
    {
        JsonRegion region = JsonRegion.Create(Location);
        region.Set("ours", 1);
        Run(WriteMapped, FilePath, "größer");
        Assert.That(region.Get("python")!.Value.GetString(), Is.EqualTo("größer"));
        region.Set("ours", 2);
        Assert.That(region.Read().Root.EnumerateObject().Count(), Is.EqualTo(2));
        Assert.That(JsonElement.Parse(Run(ReadMapped, FilePath)).GetProperty("python").GetString(), Is.EqualTo("größer"));
    }

    [TestCase("r+b")]
    [TestCase("wb")]
    public void We_read_and_keep_what_python_writes_with_ordinary_calls(string mode)
    {
        JsonRegion region = JsonRegion.Create(Location);
        region.Set("padding", new string('x', 500));
        Run(WritePlain, FilePath, "new", mode);
        Assert.That(region.Get("python")!.Value.GetString(), Is.EqualTo("new"));

        // "wb" cuts the file to the value: there is room for what is as long, and no more.
        region.Set("python", "NEW");
        Assert.That(region.Read().Root.GetRawText(), Does.Contain("3.14").And.Contain("12345678901234567890").And.Contain("NEW"));
        if (mode == "wb") Assert.That(() => region.Set("python", "much longer"), Throws.TypeOf<RegionFullException>());
    }

    [Test]
    public void A_sparse_foreign_file_becomes_a_region_with_a_redo_copy()
    {
        Run(MakeSparse, FilePath, "65536");
        JsonRegion region = JsonRegion.Open(Location);
        Assert.That(region.Read().Root.GetRawText(), Is.EqualTo("{}"));
        region.Set("ours", 1);
        Assert.That(StateOf(FilePath).Generation, Is.GreaterThan(0));
        using RegionFile file = RegionFile.TryOpen(FilePath, forWriting: false)!;
        Assert.That(file.Status.AllocatedBytes, Is.GreaterThanOrEqualTo(65536));
        Assert.That(file.Size, Is.EqualTo(65536));
        Assert.That(JsonElement.Parse(Run(ReadMapped, FilePath)).GetProperty("ours").GetInt32(), Is.EqualTo(1));
    }

    [TestCase(4096, 4080)]
    [TestCase(300, 280)]
    [TestCase(64, 50)]
    public void A_foreign_file_can_be_filled_to_its_end(int size, int bytes)
    {
        Run(MakeSparse, FilePath, $"{size}");
        JsonRegion region = JsonRegion.Open(Location);
        region.Set("a", 1);
        string text = new('x', bytes - "{'a':1,'b':''}".Length);
        region.Set("b", text);
        Assert.That(region.Get("b")!.Value.GetString(), Is.EqualTo(text));
        Assert.That(() => region.Set("b", text + new string('y', 40)), Throws.TypeOf<RegionFullException>());
        Assert.That(region.Get("b")!.Value.GetString(), Is.EqualTo(text));
        region.Remove("b");
        Assert.That(region.Read().Root.GetRawText(), Is.EqualTo("""{"a":1}"""));
        Assert.That(new FileInfo(FilePath).Length, Is.EqualTo(size));
    }

    [Test]
    public void A_foreign_file_whose_end_is_in_use_keeps_its_end()
    {
        byte[] bytes = new byte[4096];
        bytes.AsSpan(^3..).Fill(7);
        File.WriteAllBytes(FilePath, bytes);
        JsonRegion region = JsonRegion.Open(Location);
        region.Set("a", 1);
        Assert.That(region.Get("a")!.Value.GetInt32(), Is.EqualTo(1));
        Assert.That(File.ReadAllBytes(FilePath)[^64..], Is.EqualTo(bytes[^64..]));
    }

    [Test]
    public void A_foreign_value_over_slots_and_trailer_is_read_and_replaced()
    {
        JsonRegion region = JsonRegion.Create(Location, new RegionOptions { CapacityBytes = 64 });
        string text = new('x', 4060);
        ForeignWrite(FilePath, $$"""{"long":"{{text}}"}""");
        Assert.That(region.Get("long")!.Value.GetString(), Is.EqualTo(text));
        region.Remove("long");
        region.Set("a", 1);
        Assert.That(JsonRegion.Open(Location).Read().Root.GetRawText(), Is.EqualTo("""{"a":1}"""));
    }

    [TestCase(RegionWriteStep.BeginFront)]
    [TestCase(RegionWriteStep.EndFront)]
    [TestCase(RegionWriteStep.Settle)]
    public void A_foreign_write_after_a_writers_death_is_not_reverted(RegionWriteStep step)
    {
        JsonRegion region = JsonRegion.Create(Location);
        region.Set("key", "old");
        using (ChildProcess writer = ChildProcess.Peer("region-set", FilePath, "key", "new", "kill", step.ToString())) writer.AwaitExit();
        Assert.That(StateOf(FilePath).IsCommitted, Is.True);

        ForeignWrite(FilePath, """{"key":"foreign"}""");
        Assert.That(region.Get("key")!.Value.GetString(), Is.EqualTo("foreign"), "before anybody finished the dead writer's work");
        Assert.That(JsonRegion.Open(Location).Get("key")!.Value.GetString(), Is.EqualTo("foreign"));
        region.Set("other", 1);
        Assert.That(region.Read().Root.GetRawText(), Is.EqualTo("""{"key":"foreign","other":1}"""));
    }

    [Test]
    public void A_long_foreign_write_after_a_writers_death_is_not_reverted()
    {
        JsonRegion region = JsonRegion.Create(Location, new RegionOptions { CapacityBytes = 64 });
        region.Set("key", "old");
        using (ChildProcess writer = ChildProcess.Peer("region-set", FilePath, "key", "new", "kill", nameof(RegionWriteStep.EndFront)))
            writer.AwaitExit();
        string json = $$"""{"long":"{{new string('x', 300)}}"}""";
        ForeignWrite(FilePath, json);
        Assert.That(region.Read().Root.GetRawText(), Is.EqualTo(json));
        Assert.That(JsonRegion.Open(Location).Read().Root.GetRawText(), Is.EqualTo(json));
    }

    [Test]
    public void A_writer_killed_after_a_foreign_write_leaves_that_or_the_new_value()
    {
        JsonRegion region = JsonRegion.Create(Location);
        foreach (RegionWriteStep step in Enum.GetValues<RegionWriteStep>())
        {
            // A text of its own each time: a foreign write of what a half-done copy began from cannot be told from it (docs/layouts.md).
            ForeignWrite(FilePath, $$"""{"key":"before {{step}}"}""");
            using (ChildProcess writer = ChildProcess.Peer("region-set", FilePath, "key", $"after {step}", "kill", step.ToString()))
                Assert.That(writer.AwaitExit(), Is.EqualTo(137));
            Assert.That(region.Get("key")!.Value.GetString(),
                Is.EqualTo((step < RegionWriteStep.BeginFront ? "before " : "after ") + step));
        }
    }

    [Test]
    public void Repeated_and_broken_keys_of_other_programs_are_survived()
    {
        JsonRegion region = JsonRegion.Create(Location);
        ForeignWrite(FilePath, """ { "a" : 1, "\ud800": [1, 2.50], "a": {"x": 1e400}, "b b": null } """);
        Assert.That(region.Get("a")!.Value.GetRawText(), Does.Contain("1e400"));
        Assert.That(region.Get("none"), Is.Null);
        region.Set("c", true);
        region.Set("a", 2);
        Assert.That(region.Read().Root.GetRawText(), Is.EqualTo("""{"a":2,"\ud800": [1, 2.50],"b b": null,"c":true}"""));
    }

    [Test]
    public void Shells_and_python_share_the_lock()
    {
        JsonRegion region = JsonRegion.Create(Location);
        using ChildProcess holder = ChildProcess.Python(
            """
            import fcntl, sys
            f = open(sys.argv[1], "r+b"); fcntl.flock(f, fcntl.LOCK_EX); print("ready", flush=True); sys.stdin.readline()
            """,
            FilePath);
        holder.AwaitReady();
        JsonRegion impatient = JsonRegion.Open(Location, new RegionOptions { LockTimeout = TimeSpan.FromMilliseconds(20) });
        Assert.That(() => impatient.Set("a", 1), Throws.TypeOf<TimeoutException>().With.Message.Contains($"process {holder.Id}"));
        holder.Go();
        region.Set("a", 1);
        Assert.That(region.Get("a"), Is.Not.Null);
    }

    private static string Run(string program, params string[] arguments)
    {
        using ChildProcess python = ChildProcess.Python(program, arguments);
        return python.Output();
    }
}
