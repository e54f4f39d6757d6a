using Otto.Ipc;

namespace Otto.Queue;

// A schedule takes the place of another one of its key. The new one comes first, marked as enqueued later, so that neither a full queue
// nor the death of this process leaves none. Then the older ones end. A worker that leases a schedule does the same, in case whoever
// replaced it did not get that far.

internal static class ScheduleReplacement
{
    private const int MostOlder = 1000;

    // How long a schedule that has replaced another waits before it looks again whether that one's last run has ended.
    private static readonly TimeSpan RunsPause = TimeSpan.FromMilliseconds(100);

    /// <summary>Replaces a schedule.</summary>
    /// <returns><see langword="null"/> if another message has the key meanwhile, or the schedule has ended.</returns>
    internal static SendResult? TryReplace(LabelledWorkQueue labelled, KeyedMessage old, ReadOnlySpan<byte> message,
        in MessageLabels labels, byte[] key, TimeSpan delay, bool hold, out WorkLease lease)
    {
        lease = default;
        byte[] later = RecurringEnvelope.EnqueuedAfter(message, old.EnqueuedAt);
        long from = RecurringEnvelope.EnqueuedAt(later);
        TimeSpan interval = RecurringEnvelope.Interval(later), afterRun = delay < interval ? interval : delay;
        LabelledSendResult result = hold ? labelled.TrySendAndLease(later, labels, IsTaken, out lease)
            : labelled.TrySend(later, labels, old.IsHeld ? afterRun : delay, IsTaken);
        if (result.Status == LabelledSendStatus.KeyTaken) return null;
        if (result.Status == LabelledSendStatus.Full) return SendOutcome.Full;
        EndOlder(labelled, key, from);
        if (hold && Runs(labelled, key, EnvelopeReader.IdOf(later)))
        {
            lease.Abandon(countAttempt: false, afterRun);
            lease = default;
        }

        return SendOutcome.Replaced;

        bool IsTaken(ReadOnlySpan<byte> m, bool isCancelRequested) =>
            KeyedMessage.HasKey(m, isCancelRequested, key) && !IsOlder(m, from);
    }

    /// <summary>Decides about a schedule that was leased: one that was replaced is marked as cancelled, and one whose
    /// predecessor still runs is returned for a while.</summary>
    /// <returns>Whether the lease is still there.</returns>
    internal static bool TryBegin(LabelledWorkQueue labelled, in WorkLease lease)
    {
        ReadOnlySpan<byte> message = lease.Payload.Span;
        byte[] key = EnvelopeReader.KeyOf(message).ToArray();
        ulong hash = KeyedMessage.HashOf(key);
        TaskId self = EnvelopeReader.IdOf(message);
        long from = RecurringEnvelope.EnqueuedAt(message);
        if (!labelled.TryFindKey(hash, (m, _) => IsOther(m), out _, out _)) return true;
        if (labelled.TryFindKey(hash, (m, isCancelRequested) => !isCancelRequested && IsOther(m) && RecurringEnvelope.EnqueuedAt(m) > from,
            out _, out _))
        {
            if (labelled.TryFindKey(hash, (m, _) => EnvelopeReader.IdOf(m) == self, out WorkId own, out _)) labelled.RequestCancel(own);
            return true;
        }

        EndOlder(labelled, key, from);
        if (!Runs(labelled, key, self)) return true;
        lease.Abandon(countAttempt: false, RunsPause);
        return false;

        bool IsOther(ReadOnlySpan<byte> m) =>
            RecurringEnvelope.Recurs(m) && EnvelopeReader.IdOf(m) != self && EnvelopeReader.KeyOf(m).SequenceEqual(key);
    }

    /// <summary>Ends the schedules of a key that were enqueued before a time; one that runs ends with that
    /// run.</summary>
    private static void EndOlder(LabelledWorkQueue labelled, byte[] key, long from)
    {
        // One is the rule; each is found once.
        for (int i = 0; i < MostOlder && labelled.TryFindKey(KeyedMessage.HashOf(key), IsReplaced, out WorkId old, out _); i++)
            if (labelled.RequestCancel(old)) labelled.Cancel(old);

        bool IsReplaced(ReadOnlySpan<byte> m, bool isCancelRequested) =>
            KeyedMessage.HasKey(m, isCancelRequested, key) && IsOlder(m, from);
    }

    /// <summary>Whether another schedule of a key, cancelled or replaced, is in its last run.</summary>
    private static bool Runs(LabelledWorkQueue labelled, byte[] key, TaskId self)
    {
        for (int i = 0; i < MostOlder && labelled.TryFindKey(KeyedMessage.HashOf(key), IsEnding, out WorkId other, out bool held); i++)
        {
            if (held) return true;
            // Whoever asked for its end did not get that far. Behind it there may be one that runs.
            labelled.Cancel(other);
        }

        return false;

        bool IsEnding(ReadOnlySpan<byte> m, bool isCancelRequested) => isCancelRequested && RecurringEnvelope.Recurs(m)
            && EnvelopeReader.IdOf(m) != self && EnvelopeReader.KeyOf(m).SequenceEqual(key);
    }

    private static bool IsOlder(ReadOnlySpan<byte> message, long than) =>
        RecurringEnvelope.Recurs(message) && RecurringEnvelope.EnqueuedAt(message) < than;
}
