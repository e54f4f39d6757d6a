using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Queues;

// Finding messages by what they say, and taking turns at doing so.

[Parallelizable]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class QueueSearchTests : IDisposable
{
    private readonly TestWorkspace _workspace = new();
    private readonly SearchableWorkQueue _queue;

    public QueueSearchTests() => _queue = Open();

    private SearchableWorkQueue Open() =>
        (SearchableWorkQueue)_workspace.Transport.OpenQueue("jobs", new MmapQueueOptions { Slots = 16, SlotBytes = 64 });

    public void Dispose()
    {
        _queue.Dispose();
        _workspace.Dispose();
    }

    [Test]
    public void A_message_is_found_while_it_waits_is_delayed_or_held_and_not_after()
    {
        _queue.TrySend("other"u8);
        _queue.TrySend("ready"u8, TimeSpan.Zero, out WorkId ready);
        _queue.TrySend("later"u8, TimeSpan.FromHours(1), out WorkId later);
        Assert.That((Find("ready"), Find("later"), Find("none")), Is.EqualTo(((ready, false), (later, false), ((WorkId, bool)?)null)));
        Assert.That(_queue.Cancel(later), Is.True);
        Assert.That(Find("later"), Is.Null, "cancelled");

        _queue.TryLease(out WorkLease first);
        first.Complete();
        Assert.That(Find("other"), Is.Null, "completed");
        _queue.TryLease(out WorkLease second);
        Assert.That(Find("ready"), Is.EqualTo((ready, true)), "held");
        second.Abandon();
        Assert.That(Find("ready"), Is.EqualTo((ready, false)), "given back, under the name it had");
        _queue.TryLease(out second);
        second.DeadLetter("no");
        Assert.That(Find("ready"), Is.Null, "given up");
    }

    [Test]
    public void A_message_larger_than_a_slot_is_found_by_its_beginning()
    {
        byte[] large = [.. "large"u8, .. new byte[5000]];
        _queue.TrySend(large);
        Assert.That(_queue.TryFind(static m => m.StartsWith("large"u8) && m.Length == SearchableWorkQueue.SearchedBytes, out _, out _),
            Is.True);
    }

    [Test]
    public async Task Many_senders_that_search_before_they_send_send_one()
    {
        for (int round = 0; round < 100; round++)
        {
            byte[] message = BitConverter.GetBytes(round + 1);
            int sent = 0;
            await Watchdog.WaitAsync(Task.WhenAll(Enumerable.Range(0, 4).Select(n => Watchdog.RunOnThread(() =>
            {
                using SearchableWorkQueue mine = n % 2 == 0 ? null! : Open();
                SearchableWorkQueue queue = mine ?? _queue;
                Assert.That(queue.TryEnterExclusive(Watchdog.Limit, out IDisposable? turn), Is.True);
                using (turn)
                {
                    if (!queue.TryFind(m => m.SequenceEqual(message), out _, out _) && queue.TrySend(message))
                        Interlocked.Increment(ref sent);
                }
            }))));
            Assert.That(sent, Is.EqualTo(1));
            _queue.TryLease(out WorkLease lease);
            lease.Complete();
        }
    }

    [Test]
    public void A_turn_that_another_handle_has_is_waited_for_no_longer_than_asked()
    {
        using SearchableWorkQueue other = Open();
        Assert.That(other.TryEnterExclusive(TimeSpan.Zero, out IDisposable? turn), Is.True);
        Assert.That(_queue.TryEnterExclusive(TimeSpan.FromMilliseconds(5), out _), Is.False);
        turn!.Dispose();
        turn.Dispose();
        Assert.That(_queue.TryEnterExclusive(TimeSpan.Zero, out turn), Is.True);
        turn!.Dispose();
    }

    private (WorkId, bool)? Find(string text)
    {
        byte[] bytes = System.Text.Encoding.UTF8.GetBytes(text);
        return _queue.TryFind(m => m.SequenceEqual(bytes), out WorkId id, out bool held) ? (id, held) : null;
    }
}
