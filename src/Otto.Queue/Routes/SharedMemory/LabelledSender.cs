using System.Text;
using Otto.Ipc;

namespace Otto.Queue;

// Sends envelopes with the labels that their queue finds them by: the task's id, its key, and how long its result is kept.

internal static class LabelledSender
{
    // The segment itself is the register of keys: a key is taken while a message that has it is ready, delayed or held.
    internal static SendResult Send(LabelledWorkQueue labelled, ReadOnlySpan<byte> message, in SendOptions options,
        TimeSpan resultRetention, bool hold,
        out WorkLease lease)
    {
        lease = default;
        // A task that comes from another route has its key already, and is not refused for it.
        byte[] key = options.Key is null ? EnvelopeReader.KeyOf(message).ToArray() : Encoding.UTF8.GetBytes(options.Key);
        bool refusable = options.Key is not null;
        MessageLabels labels = LabelsOf(options.Id, key, message, resultRetention);
        return labels.Key == 0 ? Outcome(TrySend(labelled, message, labels, options.Delay, null, hold, out lease))
            : SendKeyed(labelled, message, labels, key, refusable, options.Delay, hold, out lease);
    }

    /// <summary>What a queue finds an envelope by.</summary>
    internal static MessageLabels LabelsOf(TaskId id, ReadOnlySpan<byte> key, ReadOnlySpan<byte> message, TimeSpan resultRetention) => new()
    {
        Id = id.Label, Key = key.IsEmpty ? 0 : KeyedMessage.HashOf(key),
        KeepResult = EnvelopeReader.WantsResult(message) ? resultRetention : TimeSpan.Zero,
    };

    private static SendResult SendKeyed(LabelledWorkQueue labelled, ReadOnlySpan<byte> message, in MessageLabels labels, byte[] key,
        bool refusable, TimeSpan delay, bool hold, out WorkLease lease)
    {
        while (true)
        {
            LabelledSendResult result = TrySend(labelled, message, labels, delay,
                (m, isCancelRequested) => refusable && KeyedMessage.HasKey(m, isCancelRequested, key), hold, out lease);
            if (result.Status != LabelledSendStatus.KeyTaken) return Outcome(result);
            // None where the other one has ended meanwhile.
            if (KeyedMessage.Find(labelled, key) is not { } existing) continue;
            if (!existing.IsReplacedBy(message)) return new SendResult(SendOutcome.Duplicate, existing.Id);
            if (ScheduleReplacement.TryReplace(labelled, existing, message, labels, key, delay, hold, out lease) is { } replaced)
                return replaced;
        }
    }

    private static LabelledSendResult TrySend(LabelledWorkQueue labelled, ReadOnlySpan<byte> message, in MessageLabels labels,
        TimeSpan delay,
        KeyMatch? hasKey, bool hold, out WorkLease lease)
    {
        lease = default;
        return hold ? labelled.TrySendAndLease(message, labels, hasKey, out lease) : labelled.TrySend(message, labels, delay, hasKey);
    }

    private static SendOutcome Outcome(in LabelledSendResult result) =>
        result.Status == LabelledSendStatus.Sent ? SendOutcome.Sent : SendOutcome.Full;
}
