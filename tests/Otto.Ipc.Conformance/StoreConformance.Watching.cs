using System.Text;

namespace Otto.Ipc.Conformance;

// Watching: everything after the watch stands is told, and the last value of each key always comes.

public abstract partial class StoreConformance
{
    [Test]
    public async Task A_watch_reports_what_is_set_and_deleted_after_it_began()
    {
        await Store.SetAsync("before", "0"u8.ToArray());
        await using IStoreWatch watch = await Store.WatchAsync();
        await using IAsyncEnumerator<StoreChange> news = watch.GetAsyncEnumerator();
        IKeyValueStore other = await OpenAsync();
        await other.SetAsync("k", "1"u8.ToArray());
        Assert.That(await NextAsync(news), Is.EqualTo("Set k 1"));
        await other.DeleteAsync("k");
        Assert.That(await NextAsync(news), Is.EqualTo("Deleted k "));
    }

    [Test]
    public async Task A_watch_with_a_snapshot_begins_with_what_is_there()
    {
        await Store.SetAsync("a", "1"u8.ToArray());
        await Store.SetAsync("b", "2"u8.ToArray());
        await Store.SetAsync("other", "3"u8.ToArray());
        await using IStoreWatch watch = await Store.WatchAsync("[ab]", snapshot: true);
        await using IAsyncEnumerator<StoreChange> news = watch.GetAsyncEnumerator();
        Assert.That(new[] { await NextAsync(news), await NextAsync(news) }, Is.EquivalentTo(new[] { "Set a 1", "Set b 2" }));
        await Store.SetAsync("b", "4"u8.ToArray());
        Assert.That(await NextAsync(news), Is.EqualTo("Set b 4"));
    }

    [Test]
    public async Task A_watch_reports_only_keys_that_match()
    {
        await using IStoreWatch watch = await Store.WatchAsync("task.*");
        await using IAsyncEnumerator<StoreChange> news = watch.GetAsyncEnumerator();
        await Store.SetAsync("other", "1"u8.ToArray());
        await Store.SetAsync("task.one", "2"u8.ToArray());
        Assert.That(await NextAsync(news), Is.EqualTo("Set task.one 2"));
    }

    [Test]
    public async Task A_slow_watch_receives_the_last_value_of_each_key()
    {
        await using IStoreWatch watch = await Store.WatchAsync();
        for (int i = 0; i < 200; i++)
        {
            await Store.SetAsync("a", Utf8($"{i}"));
            await Store.SetAsync("b", Utf8($"{i}"));
        }

        var last = new Dictionary<string, string>();
        await using IAsyncEnumerator<StoreChange> news = watch.GetAsyncEnumerator();
        while (last.GetValueOrDefault("a") != "199" || last.GetValueOrDefault("b") != "199")
        {
            Assert.That(await Watchdog.WaitAsync(news.MoveNextAsync()), Is.True);
            string value = Encoding.UTF8.GetString(news.Current.Value.Span);
            if (last.TryGetValue(news.Current.Key, out string? before))
                Assert.That(int.Parse(value, System.Globalization.CultureInfo.InvariantCulture),
                    Is.GreaterThan(int.Parse(before, System.Globalization.CultureInfo.InvariantCulture)),
                    "values of one key come in their order");
            last[news.Current.Key] = value;
        }
    }

    [Test]
    public async Task Each_of_several_watches_receives_everything()
    {
        IStoreWatch[] watches = [await Store.WatchAsync(), await (await OpenAsync()).WatchAsync(),
            await (await OpenAsync()).WatchAsync("k")];
        await Store.SetAsync("k", "1"u8.ToArray());
        foreach (IStoreWatch watch in watches)
        {
            await using IAsyncEnumerator<StoreChange> news = watch.GetAsyncEnumerator();
            Assert.That(await NextAsync(news), Is.EqualTo("Set k 1"));
            await watch.DisposeAsync();
        }
    }

    [Test]
    public async Task Cancelling_ends_a_watch_and_disposing_does_too()
    {
        using var stop = new CancellationTokenSource();
        await using IStoreWatch watch = await Store.WatchAsync();
        await using IAsyncEnumerator<StoreChange> news = watch.GetAsyncEnumerator(stop.Token);
        ValueTask<bool> next = news.MoveNextAsync();
        await stop.CancelAsync();
        Assert.That(async () => await Watchdog.WaitAsync(next), Throws.InstanceOf<OperationCanceledException>());

        IStoreWatch second = await Store.WatchAsync();
        await using IAsyncEnumerator<StoreChange> more = second.GetAsyncEnumerator();
        ValueTask<bool> waiting = more.MoveNextAsync();
        await second.DisposeAsync();
        Assert.That(await Watchdog.WaitAsync(waiting), Is.False, "a disposed watch ends");
    }

    private static async Task<string> NextAsync(IAsyncEnumerator<StoreChange> news)
    {
        Assert.That(await Watchdog.WaitAsync(news.MoveNextAsync()), Is.True);
        StoreChange change = news.Current;
        return $"{change.Kind} {change.Key} {Encoding.UTF8.GetString(change.Value.Span)}";
    }
}
