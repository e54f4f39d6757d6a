using System.Text.Json.Nodes;
using Otto.Ipc.Mmap.Regions;
using Otto.Ipc.Mmap.Tests.Regions;

namespace Otto.Ipc.Mmap.Tests.Fundamentals;

// How a region is used, from the first write to waiting for news.

internal sealed class RegionFundamentals : RegionTest
{
    [Test]
    public void A_key_that_was_set_is_read()
    {
        JsonRegion region = JsonRegion.OpenOrCreate(Location);
        region.Set("step", "compile");
        region.Set("done", 3);

        Assert.That(JsonRegion.Open(Location).Get("step")!.Value.GetString(), Is.EqualTo("compile"));
        Assert.That(region.Get("done")!.Value.GetInt32(), Is.EqualTo(3));
        Assert.That(region.Get("of"), Is.Null);
    }

    [Test]
    public void A_key_keeps_its_place_when_it_is_set_again_and_leaves_when_it_is_removed()
    {
        JsonRegion region = JsonRegion.Create(Location);
        region.Set("a", 1);
        region.Set("b", 2);
        region.Set("a", "größer");
        Assert.That(region.Read().Root.GetRawText(), Is.EqualTo("""{"a":"größer","b":2}"""));

        Assert.That(region.Remove("a"), Is.True);
        Assert.That(region.Remove("a"), Is.False);
        Assert.That(region.Read().Root.GetRawText(), Is.EqualTo("""{"b":2}"""));
    }

    [Test]
    public void Several_keys_change_at_once()
    {
        JsonRegion region = JsonRegion.Create(Location);
        region.Update(root =>
        {
            root["done"] = 1;
            root["files"] = new JsonArray("a.c", "b.c");
        });
        region.Update(root => root["done"] = root["done"]!.GetValue<int>() + 1);
        Assert.That(region.Read().Root.GetRawText(), Is.EqualTo("""{"done":2,"files":["a.c","b.c"]}"""));
    }

    [Test]
    public void What_an_update_throws_leaves_the_region_as_it_was()
    {
        JsonRegion region = JsonRegion.Create(Location);
        region.Set("a", 1);
        Assert.That(() => region.Update(_ => throw new InvalidOperationException("mine")), Throws.InvalidOperationException);
        region.Set("b", 2);
        Assert.That(region.Read().Root.GetRawText(), Is.EqualTo("""{"a":1,"b":2}"""));
    }

    [Test]
    public void Waiting_ends_with_the_change()
    {
        JsonRegion region = JsonRegion.Create(Location);
        RegionSnapshot before = region.Read();
        Assert.That(region.WaitForChange(before, TimeSpan.FromMilliseconds(30)), Is.Null);

        Task<RegionSnapshot?> waiting = Task.Run(() => region.WaitForChange(before, TimeSpan.FromSeconds(30)));
        region.Set("step", "link");
        Assert.That(waiting.GetAwaiter().GetResult()!["step"]!.Value.GetString(), Is.EqualTo("link"));
    }

    [Test]
    public async Task Waiting_without_a_thread_ends_with_the_change()
    {
        JsonRegion region = JsonRegion.Create(Location);
        RegionSnapshot before = region.Read();
        Assert.That(await region.WaitForChangeAsync(before, TimeSpan.FromMilliseconds(30)), Is.Null);

        Task<RegionSnapshot?> waiting = region.WaitForChangeAsync(before, TimeSpan.FromSeconds(30));
        region.Set("step", "link");
        Assert.That((await waiting)!["step"]!.Value.GetString(), Is.EqualTo("link"));
    }

    [Test]
    public void There_is_nothing_to_open_before_the_first_write() =>
        Assert.That(() => JsonRegion.Open(Location), Throws.TypeOf<FileNotFoundException>().With.Message.Contains(FilePath));

    [Test]
    public void Making_a_region_that_exists_is_refused()
    {
        JsonRegion.Create(Location).Set("a", 1);
        Assert.That(() => JsonRegion.Create(Location), Throws.TypeOf<IOException>().With.Message.Contains("exists"));
        Assert.That(JsonRegion.OpenOrCreate(Location).Get("a"), Is.Not.Null);
    }

    [TestCase("")]
    [TestCase("two words")]
    [TestCase("line\nbreak")]
    [TestCase("nul\0")]
    [TestCase("no\u00A0break")]
    [TestCase("half\uD800")]
    public void A_key_that_does_not_print_on_one_line_is_refused(string key)
    {
        JsonRegion region = JsonRegion.Create(Location);
        Assert.That(() => region.Set(key, 1), Throws.ArgumentException);
        Assert.That(() => region.Get(key), Throws.ArgumentException);
    }

    [Test]
    public void A_key_may_have_250_bytes_and_no_more()
    {
        JsonRegion region = JsonRegion.Create(Location);
        region.Set(new string('ü', 125), 1);
        Assert.That(() => region.Set(new string('ü', 125) + "x", 1),
            Throws.ArgumentException.With.Message.Contains("251").And.Message.Contains("250"));
    }
}
