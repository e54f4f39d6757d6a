using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Otto.Ipc.Mmap.Regions;
using Otto.Ipc.Mmap.Tests.Regions;

namespace Otto.Ipc.Mmap.Tests.Python;

// A region between .NET and Python: both keep to the same steps, so neither ever sees half of what the other wrote.

[TestFixture]
internal sealed class PythonRegionTests : RegionTest
{
    [Test]
    public void Each_reads_what_the_other_wrote()
    {
        JsonRegion region = JsonRegion.Create(Location);
        region.Set("from", "dotnet ✓");
        using ChildProcess python = PythonProgram.Start(
            """
            r = Region(path=a[0])
            print(r.read()["from"])
            r.update({"answer": [1, {"ü": None}], "from": "python"})
            print(r.change(lambda old: {**old, "more": len(old)})["more"])
            """, FilePath);
        Assert.That(python.Output().Split('\n'), Is.EqualTo((string[])["dotnet ✓", "2"]));
        Assert.That(region.Read().Root.GetRawText(), Is.EqualTo("""{"from":"python","answer":[1,{"ü":null}],"more":2}"""));
        Assert.That(StateOf(FilePath), Is.EqualTo(RegionState.Settled(3)), "it wrote in our steps, so the state moved on");
    }

    [Test]
    public void Both_change_it_at_once_and_no_change_is_lost()
    {
        const int Changes = 1_500;
        JsonRegion region = JsonRegion.Create(Location);
        using ChildProcess python = PythonProgram.Start(
            """
            r = Region(path=a[0])
            print("ready", flush=True)
            for i in range(int(a[1])):
                r.change(lambda old: {**old, "python": old.get("python", 0) + 1, "pad": "x" * (i * 37 % 3000)})
            """, FilePath, Text(Changes));
        python.AwaitReady();
        for (int i = 0; i < Changes; i++)
        {
            int pad = i * 41 % 2500;
            region.Update(o =>
            {
                o["dotnet"] = (int?)o["dotnet"] + 1 ?? 1;
                o["pad"] = new string('y', pad);
            });
        }

        _ = python.Output();
        RegionSnapshot end = region.Read();
        Assert.That((end.Root.GetProperty("python").GetInt32(), end.Root.GetProperty("dotnet").GetInt32()), Is.EqualTo((Changes, Changes)));
    }

    [Test]
    public void Python_never_reads_half_of_what_is_written_meanwhile()
    {
        JsonRegion region = JsonRegion.Create(Location);
        region.Update(o => Fill(o, 1));
        using ChildProcess python = PythonProgram.Start(
            """
            r = Region(path=a[0])
            print("ready", flush=True)
            seen = set()
            while 999 not in seen:
                v = r.read()
                assert v["text"] == str(v["n"] % 10) * (v["n"] * 7 % 3000), v["n"]
                seen.add(v["n"])
            print("saw several" if len(seen) > 5 else seen)
            """, FilePath);
        python.AwaitReady();
        for (int i = 0; i < 3_000; i++) region.Update(o => Fill(o, i % 900));
        region.Update(o => Fill(o, 999));
        Assert.That(python.Output(), Is.EqualTo("saw several"));
    }

    [Test]
    public void A_killed_writer_leaves_the_old_value_or_the_new_one()
    {
        JsonRegion region = JsonRegion.Create(Location);
        region.Update(o => Fill(o, 0));
        var random = new Random(5);
        for (int run = 0; run < 12; run++)
        {
            using ChildProcess python = PythonProgram.Start(
                """
                r = Region(path=a[0])
                n = r.read()["n"]
                print("ready", flush=True)
                while True:
                    n += 1
                    r.write({"n": n, "text": str(n % 10) * (n * 7 % 3000)})
                """, FilePath);
            python.AwaitReady();
            int wanted = region.Get("n")!.Value.GetInt32() + random.Next(1, 40);
            Eventually.True(() => region.Get("n")!.Value.GetInt32() >= wanted, "it writes on");
            python.Signal(ChildProcess.SigKill);
            _ = python.AwaitExit();
            JsonElement left = region.Read().Root;
            var expected = new JsonObject();
            Fill(expected, left.GetProperty("n").GetInt32());
            Assert.That(left.GetRawText(), Is.EqualTo(expected.ToJsonString()), $"run {run}");
        }
    }

    [Test]
    public void A_value_that_does_not_fit_is_refused_with_both_sizes_and_nothing_changes()
    {
        JsonRegion region = JsonRegion.Create(Location, new RegionOptions { CapacityBytes = 128 });
        region.Set("k", "v");
        using ChildProcess python = PythonProgram.Start(
            """
            try: Region(path=a[0]).update({"big": "x" * 500})
            except OttoError as e: print(e)
            """, FilePath);
        Assert.That(python.Output(), Does.Contain("would need 518 bytes, it has 128; nothing was changed"));
        Assert.That(region.Read().Root.GetRawText(), Is.EqualTo("""{"k":"v"}"""));
    }

    [Test]
    public void Bytes_that_make_no_sense_are_an_error_and_so_is_a_link()
    {
        File.WriteAllBytes(FilePath, [0xFF, 0xFF, 0, 0, .. "{}"u8]);
        File.CreateSymbolicLink(Path.Combine(Folder, "link"), FilePath);
        using ChildProcess python = PythonProgram.Start(
            """
            for path in a:
                try: print(Region(path=path).read())
                except (CorruptError, OSError) as e: print(type(e).__name__, e)
            """, FilePath, Path.Combine(Folder, "link"), Path.Combine(Folder, "none"));
        string[] lines = python.Output().Split('\n');
        Assert.That(lines[0], Does.StartWith("CorruptError").And.Contain("a length of 65,535 in a file of 6 bytes"));
        Assert.That(lines[1], Does.StartWith("OSError"));
        Assert.That(lines[2], Does.StartWith("FileNotFoundError"));
    }

    private static void Fill(JsonObject o, int n)
    {
        o["n"] = n;
        o["text"] = new StringBuilder().Insert(0, Text(n % 10), n * 7 % 3000).ToString();
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
