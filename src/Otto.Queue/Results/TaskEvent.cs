using System.Buffers.Binary;
using System.Text;

namespace Otto.Queue;

// What is told to everybody on a queue, beside the tasks themselves: cancel this, this one's result is, this one has come so far. Agrees with docs/envelope.md.
//
//  0    1    2         8+2                12                  22
//  +----+----+- - - - -+------------------+-------------------- - -
//  |kind| 0  | id (16, big-endian)        | what the kind says
//  +----+----+- - - - -+------------------+-------------------- - -
//  cancel: nothing.   result: status, format, then the payload, or the words of a failure.   progress: f64 done, f64 total, text.   Little-endian.

internal enum TaskEventKind : byte
{
    Cancel = 1,
    Result = 2,
    Progress = 3,
}

internal enum ResultStatus : byte
{
    Done = 0,
    Failed = 1,
    Cancelled = 2,
}

internal static class TaskEvent
{
    private const int IdAt = 2;
    private const int BodyAt = IdAt + TaskId.Size;
    private const int MostText = 200;

    internal static byte[] Cancel(TaskId id) => Make(TaskEventKind.Cancel, id, 0);

    internal static byte[] Result(TaskId id, ResultStatus status, byte format, ReadOnlySpan<byte> payload)
    {
        byte[] notice = Make(TaskEventKind.Result, id, 2 + payload.Length);
        notice[BodyAt] = (byte)status;
        notice[BodyAt + 1] = format;
        payload.CopyTo(notice.AsSpan(BodyAt + 2));
        return notice;
    }

    internal static byte[] Progress(in TaskProgress progress)
    {
        string text = progress.Text.Length <= MostText ? progress.Text : progress.Text[..MostText];
        byte[] notice = Make(TaskEventKind.Progress, progress.Id, 16 + Encoding.UTF8.GetByteCount(text));
        BinaryPrimitives.WriteDoubleLittleEndian(notice.AsSpan(BodyAt), progress.Done);
        BinaryPrimitives.WriteDoubleLittleEndian(notice.AsSpan(BodyAt + 8), progress.Total);
        Encoding.UTF8.GetBytes(text, notice.AsSpan(BodyAt + 16));
        return notice;
    }

    /// <summary>Reads a notice; what is none of ours is passed over.</summary>
    internal static bool TryRead(ReadOnlySpan<byte> notice, out TaskEventKind kind, out TaskId id, out ReadOnlySpan<byte> body)
    {
        kind = notice.Length > 0 ? (TaskEventKind)notice[0] : 0;
        id = default;
        body = default;
        if (notice.Length < BodyAt) return false;
        id = TaskId.ReadFrom(notice[IdAt..]);
        body = notice[BodyAt..];
        return kind switch
        {
            TaskEventKind.Cancel => true,
            TaskEventKind.Result => body.Length >= 2 && body[0] <= (byte)ResultStatus.Cancelled,
            TaskEventKind.Progress => body.Length >= 16,
            _ => false,
        };
    }

    internal static TaskProgress ReadProgress(TaskId id, ReadOnlySpan<byte> body)
        => new(id, BinaryPrimitives.ReadDoubleLittleEndian(body), BinaryPrimitives.ReadDoubleLittleEndian(body[8..]), Encoding.UTF8.GetString(body[16..]));

    private static byte[] Make(TaskEventKind kind, TaskId id, int bodyBytes)
    {
        byte[] notice = new byte[BodyAt + bodyBytes];
        notice[0] = (byte)kind;
        id.WriteTo(notice.AsSpan(IdAt));
        return notice;
    }
}
