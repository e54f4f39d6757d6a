using System.Text;

namespace Otto.Ipc.Conformance;

// What every store promises, whichever transport keeps it.

/// <summary>A fresh store of one transport, for one test.</summary>
public interface IStoreHarness : IAsyncDisposable
{
    /// <summary>Opens another handle of the same store, which holds at least 64 KiB, and
    /// values of at least 16 KiB.</summary>
    ValueTask<IKeyValueStore> OpenAsync();

    /// <summary>Opens a store of the same transport under another name.</summary>
    ValueTask<IKeyValueStore> OpenOtherAsync();
}

/// <summary>The suite of the store shape.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public abstract partial class StoreConformance
{
    private readonly List<IKeyValueStore> _handles = [];
    private IStoreHarness _harness = null!;

    protected IKeyValueStore Store { get; private set; } = null!;

    /// <summary>Makes a store that no other test knows.</summary>
    protected abstract ValueTask<IStoreHarness> CreateHarnessAsync();

    [SetUp]
    public async Task Open()
    {
        _harness = await CreateHarnessAsync();
        Store = await OpenAsync();
    }

    [TearDown]
    public async Task Close()
    {
        foreach (IKeyValueStore handle in _handles) await handle.DisposeAsync();
        if (_harness is not null) await _harness.DisposeAsync();
    }

    [Test]
    public async Task A_value_reads_back_as_it_was_set()
    {
        await Store.SetAsync("photo.width", "640"u8.ToArray());
        Assert.That(await TextAsync(Store, "photo.width"), Is.EqualTo("640"));
    }

    [Test]
    public async Task A_key_that_was_never_set_is_an_answer_and_not_an_error()
    {
        Assert.That(await Store.GetAsync("nothing"), Is.Null);
        Assert.That(await Store.DeleteAsync("nothing"), Is.False);
        Assert.That(await Store.ListAsync(), Is.Empty);
    }

    [Test]
    public async Task The_last_value_counts()
    {
        foreach (string value in (string[])["1", "\"two\"", "{\"three\":3}", "[4]", "null", "true"])
        {
            await Store.SetAsync("k", Utf8(value));
            Assert.That(await TextAsync(Store, "k"), Is.EqualTo(value));
        }
    }

    [Test]
    public async Task Another_handle_reads_what_this_one_set()
    {
        IKeyValueStore other = await OpenAsync();
        await Store.SetAsync("a", "1"u8.ToArray());
        Assert.That(await TextAsync(other, "a"), Is.EqualTo("1"));
        await other.SetAsync("a", "2"u8.ToArray());
        Assert.That(await TextAsync(Store, "a"), Is.EqualTo("2"));
        Assert.That(await other.DeleteAsync("a"), Is.True);
        Assert.That(await Store.GetAsync("a"), Is.Null);
    }

    [Test]
    public async Task A_store_of_another_name_has_keys_of_its_own()
    {
        IKeyValueStore other = await _harness.OpenOtherAsync();
        _handles.Add(other);
        await Store.SetAsync("a", "1"u8.ToArray());
        Assert.That(await other.GetAsync("a"), Is.Null);
        await other.SetAsync("b", "2"u8.ToArray());
        Assert.That(await Store.ListAsync(), Is.EqualTo(new[] { "a" }));
        Assert.That(await other.ListAsync(), Is.EqualTo(new[] { "b" }));
    }

    [Test]
    public async Task A_deleted_key_is_gone_and_may_come_again()
    {
        await Store.SetAsync("k", "1"u8.ToArray());
        Assert.That(await Store.DeleteAsync("k"), Is.True);
        Assert.That(await Store.GetAsync("k"), Is.Null);
        Assert.That(await Store.DeleteAsync("k"), Is.False);
        await Store.SetAsync("k", "2"u8.ToArray());
        Assert.That(await TextAsync(Store, "k"), Is.EqualTo("2"));
    }

    [Test]
    public async Task Keys_are_listed_in_order_and_by_pattern()
    {
        foreach (string key in (string[])["b.two", "a.one", "b.one", "B", "é", "c"]) await Store.SetAsync(key, "0"u8.ToArray());
        Assert.That(await Store.ListAsync(), Is.EqualTo(new[] { "B", "a.one", "b.one", "b.two", "c", "é" }));
        Assert.That(await Store.ListAsync("b.*"), Is.EqualTo(new[] { "b.one", "b.two" }));
        Assert.That(await Store.ListAsync("?"), Is.EqualTo(new[] { "B", "c", "é" }));
        Assert.That(await Store.ListAsync("[a-b].one"), Is.EqualTo(new[] { "a.one", "b.one" }));
        Assert.That(await Store.ListAsync("c"), Is.EqualTo(new[] { "c" }));
        Assert.That(await Store.ListAsync("nobody*"), Is.Empty);
    }

    [Test]
    public async Task Bytes_that_are_no_JSON_read_back_byte_for_byte()
    {
        byte[] every = [.. Enumerable.Range(0, 256).Select(i => (byte)i)];
        byte[][] values = [every, [], [0], [0xFF, 0xFE], "not json"u8.ToArray(), "{\"half\":"u8.ToArray(), "\"\xC3\""u8.ToArray(),
            "1 2"u8.ToArray(), "{\"$base64\":\"AAAA\"}"u8.ToArray()];
        for (int i = 0; i < values.Length; i++) await Store.SetAsync($"k{i}", values[i]);
        for (int i = 0; i < values.Length; i++)
            Assert.That((await Store.GetAsync($"k{i}"))!.Value.ToArray(), Is.EqualTo(values[i]), $"value {i}");
    }

    [Test]
    public async Task JSON_of_many_lines_keeps_its_meaning()
    {
        await Store.SetAsync("k", Utf8("{\r\n  \"a\": [1,\n 2],\n  \"b\": \"x\\ny\"\n}\n"));
        using var document = System.Text.Json.JsonDocument.Parse((await Store.GetAsync("k"))!.Value);
        Assert.That(document.RootElement.GetProperty("a")[1].GetInt32(), Is.EqualTo(2));
        Assert.That(document.RootElement.GetProperty("b").GetString(), Is.EqualTo("x\ny"));
    }

    [Test]
    public async Task Values_of_sixteen_kilobytes_and_keys_of_250_bytes_fit()
    {
        string key = new('k', 250);
        string value = "\"" + new string('v', 16_000) + "\"";
        await Store.SetAsync(key, Utf8(value));
        Assert.That(await TextAsync(Store, key), Is.EqualTo(value));
        Assert.That(await Store.ListAsync(), Is.EqualTo(new[] { key }));
    }

    [Test]
    public async Task Keys_in_other_scripts_and_with_signs_are_keys(
        [Values("größe", "日本語", "😀", "a/b", "..", "$key", "\"quoted\"", "back\\slash", "{}", "a'b", "%s", "-n")] string key)
    {
        await Store.SetAsync(key, "1"u8.ToArray());
        Assert.That(await TextAsync(Store, key), Is.EqualTo("1"));
        Assert.That(await Store.ListAsync(), Is.EqualTo(new[] { key }));
        Assert.That(await Store.DeleteAsync(key), Is.True);
    }

    [Test]
    public void What_is_no_key_is_refused_and_says_why([Values("", "a b", "a\nb", "a\0b", "tab\t")] string key)
    {
        Assert.That(async () => await Store.GetAsync(key), Throws.ArgumentException);
        Assert.That(async () => await Store.SetAsync(key, "1"u8.ToArray()), Throws.ArgumentException);
        Assert.That(async () => await Store.DeleteAsync(key), Throws.ArgumentException);
        Assert.That(async () => await Store.SetAsync(new string('k', 251), "1"u8.ToArray()),
            Throws.ArgumentException.With.Message.Contains("251").And.Message.Contains("250"));
        Assert.That(async () => await Store.ListAsync(""), Throws.ArgumentException);
    }

    [Test]
    public async Task A_value_over_the_limit_is_refused_with_both_sizes_and_the_old_one_stays()
    {
        await Store.SetAsync("k", "1"u8.ToArray());
        if (Store.MaxValueBytes is not { } limit) return;
        Assert.That(
            async () => await Store.SetAsync("k", Utf8("\"" + new string('v', limit) + "\"")),
            Throws.InstanceOf<ArgumentException>().Or.InstanceOf<IOException>().With.Message.Contains($"{limit + 2:N0}"));
        Assert.That(await TextAsync(Store, "k"), Is.EqualTo("1"));
    }

    [Test]
    public void A_cancelled_call_does_nothing()
    {
        var stopped = new CancellationToken(canceled: true);
        Assert.That(async () => await Store.SetAsync("k", "1"u8.ToArray(), stopped), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(async () => await Store.GetAsync("k", stopped), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(async () => await Store.DeleteAsync("k", stopped), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(async () => await Store.ListAsync("*", stopped), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(async () => await Store.WatchAsync("*", false, stopped), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(async () => await Store.GetAsync("k"), Is.Null);
    }

    [Test]
    public async Task A_disposed_handle_throws_and_the_others_continue()
    {
        IKeyValueStore other = await OpenAsync();
        await other.DisposeAsync();
        await other.DisposeAsync();
        Assert.That(async () => await other.GetAsync("k"), Throws.InstanceOf<ObjectDisposedException>());
        await Store.SetAsync("k", "1"u8.ToArray());
        Assert.That(await TextAsync(Store, "k"), Is.EqualTo("1"));
    }

    [Test]
    public async Task Readers_beside_writers_see_whole_values_only()
    {
        const int Writes = 300;
        IKeyValueStore writer = await OpenAsync(), second = await OpenAsync();
        await Store.SetAsync("k", Whole(0));
        Task[] writers = [Task.Run(() => WriteAsync(writer, 1)), Task.Run(() => WriteAsync(second, 2))];
        int reads = 0;
        while (!Task.WhenAll(writers).IsCompleted || reads == 0)
        {
            byte[] seen = (await Store.GetAsync("k"))!.Value.ToArray();
            Assert.That(seen.Length, Is.GreaterThan(2));
            Assert.That(seen.AsSpan(1, seen.Length - 2).IndexOfAnyExcept(seen[1]), Is.EqualTo(-1), "half of one value and half of another");
            reads++;
        }

        await Watchdog.WaitAsync(Task.WhenAll(writers));

        async Task WriteAsync(IKeyValueStore store, int first)
        {
            for (int i = 0; i < Writes; i++) await store.SetAsync("k", Whole(first + i));
        }

        static byte[] Whole(int i) => Utf8("\"" + new string((char)('a' + i % 26), 10 + i * 7 % 3000) + "\"");
    }

    [Test]
    public async Task Writers_of_different_keys_lose_nothing_to_each_other()
    {
        const int Keys = 60;
        IKeyValueStore[] stores = [await OpenAsync(), await OpenAsync(), await OpenAsync()];
        await Watchdog.WaitAsync(Task.WhenAll(stores.Select((store, s) => Task.Run(async () =>
        {
            for (int i = s; i < Keys; i += stores.Length) await store.SetAsync($"key.{i:00}", Utf8($"{i}"));
        }))));
        IReadOnlyList<string> keys = await Store.ListAsync();
        Assert.That(keys, Is.EqualTo(Enumerable.Range(0, Keys).Select(i => $"key.{i:00}")));
        for (int i = 0; i < Keys; i++) Assert.That(await TextAsync(Store, $"key.{i:00}"), Is.EqualTo($"{i}"));
    }

    protected async ValueTask<IKeyValueStore> OpenAsync()
    {
        IKeyValueStore store = await _harness.OpenAsync();
        _handles.Add(store);
        return store;
    }

    protected static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);

    protected static async Task<string?> TextAsync(IKeyValueStore store, string key) =>
        await store.GetAsync(key) is { } value ? Encoding.UTF8.GetString(value.Span) : null;
}
