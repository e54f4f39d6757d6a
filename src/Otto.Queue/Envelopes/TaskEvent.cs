using System.Buffers.Binary;
using System.Text;

namespace Otto.Queue;

// Events that are published on a queue beside its tasks: cancel a task, its result, that its result is
// kept, its progress. Agrees with docs/envelope.md.
//
//  0    1    2         8+2                12                  22
//  +----+----+- - - - -+------------------+-------------------- - -
//  |kind| 0  | id (16, big-endian)        | what the kind says
//  +----+----+- - - - -+------------------+-------------------- - -
// cancel, ready: nothing. result: status, format, then the payload, or the words of a failure. progress:
// f64 done, f64 total, text. Little-endian.

internal enum TaskEventKind : byte
{
    Cancel = 1,
    Result = 2,
    Progress = 3,

    /// <summary>The route keeps the task's result.</summary>
    Ready = 4,
}

internal enum ResultStatus : byte
{
    Done = 0,
    Failed = 1,
    Cancelled = 2,
}

/// <summary>Reads the events that the workers of a queue publish on its topic: for programs that subscribe to that
/// topic themselves.</summary>
public static class TaskEvent
{
    private const int IdAt = 2;
    private const int BodyAt = IdAt + TaskId.Size;
    private const int MostText = 200;

    internal static byte[] Cancel(TaskId id) => Make(TaskEventKind.Cancel, id, 0);

    internal static byte[] Ready(TaskId id) => Make(TaskEventKind.Ready, id, 0);

    internal static byte[] Result(TaskId id, ResultStatus status, byte format, ReadOnlySpan<byte> payload)
    {
        byte[] message = Make(TaskEventKind.Result, id, 2 + payload.Length);
        message[BodyAt] = (byte)status;
        message[BodyAt + 1] = format;
        payload.CopyTo(message.AsSpan(BodyAt + 2));
        return message;
    }

    internal static byte[] Progress(in TaskProgress progress)
    {
        string text = progress.Text.Length <= MostText ? progress.Text : progress.Text[..MostText];
        byte[] message = Make(TaskEventKind.Progress, progress.Id, 16 + Encoding.UTF8.GetByteCount(text));
        BinaryPrimitives.WriteDoubleLittleEndian(message.AsSpan(BodyAt), progress.Done);
        BinaryPrimitives.WriteDoubleLittleEndian(message.AsSpan(BodyAt + 8), progress.Total);
        Encoding.UTF8.GetBytes(text, message.AsSpan(BodyAt + 16));
        return message;
    }

    /// <summary>Reads a message; what is none of ours is passed over.</summary>
    internal static bool TryRead(ReadOnlySpan<byte> message, out TaskEventKind kind, out TaskId id, out ReadOnlySpan<byte> body)
    {
        kind = message.Length > 0 ? (TaskEventKind)message[0] : 0;
        id = default;
        body = default;
        if (message.Length < BodyAt) return false;
        id = TaskId.ReadFrom(message[IdAt..]);
        body = message[BodyAt..];
        return kind switch
        {
            TaskEventKind.Cancel or TaskEventKind.Ready => true,
            TaskEventKind.Result => body.Length >= 2 && body[0] <= (byte)ResultStatus.Cancelled,
            TaskEventKind.Progress => body.Length >= 16,
            _ => false,
        };
    }

    /// <summary>Reads an event that a worker published on its queue, if it reports progress.</summary>
    /// <param name="message">The event, as in <c>docs/envelope.md</c>.</param>
    /// <param name="progress">What it reports.</param>
    /// <returns><see langword="false"/> if it is another kind of event, or none.</returns>
    public static bool TryReadProgress(ReadOnlySpan<byte> message, out TaskProgress progress)
    {
        progress = default;
        if (!TryRead(message, out TaskEventKind kind, out TaskId id, out ReadOnlySpan<byte> body) || kind != TaskEventKind.Progress)
            return false;
        progress = ReadProgress(id, body);
        return true;
    }

    internal static TaskProgress ReadProgress(TaskId id, ReadOnlySpan<byte> body)
        => new(id, BinaryPrimitives.ReadDoubleLittleEndian(body), BinaryPrimitives.ReadDoubleLittleEndian(body[8..]),
            Encoding.UTF8.GetString(body[16..]));

    private static byte[] Make(TaskEventKind kind, TaskId id, int bodyBytes)
    {
        byte[] message = new byte[BodyAt + bodyBytes];
        message[0] = (byte)kind;
        id.WriteTo(message.AsSpan(IdAt));
        return message;
    }
}
