using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Files.Paths;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Queues;

// Senders pass one at a time, so that numbers are given out and messages become ready in the same order, and nobody overfills the queue.
// Workers do not pass here: a sender that stands still in it keeps other senders waiting, and nobody else.

internal sealed class SendSequencer : IDisposable
{
    private const int Digits = 20, Bytes = 3 * Digits + 3, MostAttempts = 1000;

    private readonly QueueFiles _files;
    private readonly LockFile _lock;
    private readonly TimeSpan _timeout;
    private readonly Lock _threads = new();
    private long _id, _time;

    public SendSequencer(QueueFiles files, TimeSpan timeout)
    {
        _files = files;
        _timeout = timeout;
        _lock = new LockFile(files.Sequence);
    }

    /// <summary>The last number that was given out: the messages of all before it have been
    /// ready, or whatever they became. Takes no lock.</summary>
    public long LastId
    {
        get
        {
            using SafeFileHandle? file = PrivateFile.TryOpen(_files.Sequence, FileAccess.Read);
            // Lost, or not yet made: nothing is known, so nothing is held back.
            return file is not null && Read(file) is { } read ? read.Id : long.MaxValue;
        }
    }

    /// <summary>Passes with the lock held.</summary>
    /// <param name="pass">What to do.</param>
    /// <exception cref="TimeoutException">Another sender held the lock for the whole time; the message names
    /// it.</exception>
    public T Pass<T>(Func<T> pass)
    {
        lock (_threads)
        {
            _lock.Acquire(_timeout);
            try
            {
                (_id, _time) = Read(_lock.File) ?? (_files.HighestId(), 0);
                return pass();
            }
            finally
            {
                _lock.Release();
            }
        }
    }

    /// <summary>The last number that was given out, while passing.</summary>
    public long Last => _id;

    /// <summary>Gives out a number and a time that no message has, while passing.</summary>
    public (long Id, long Time) Next()
    {
        // The wall clock may be set back; the order of the names must not be.
        (_id, _time) = (_id + 1, Math.Max(_time, QueueTime.UnixMilliseconds));
        // Before the message has it: a number that is lost does no harm, one that is given out twice would.
        Span<byte> text = stackalloc byte[Bytes];
        Put(text, 0, _id, ' ');
        Put(text, 1, _time, ' ');
        Put(text, 2, _id, '\n');
        PrivateFile.Write(_lock.File, _files.Sequence, text, 0);
        return (_id, _time);
    }

    public void Dispose() => _lock.Dispose();

    private static void Put(Span<byte> text, int field, long number, char end)
    {
        number.TryFormat(text[(field * (Digits + 1))..], out _, "D20", CultureInfo.InvariantCulture);
        text[field * (Digits + 1) + Digits] = (byte)end;
    }

    /// <summary>Reads the numbers; <see langword="null"/> if the file is new. The first number is stored again at the
    /// end: in a copy made during a change, the two differ.</summary>
    private (long Id, long Time)? Read(SafeFileHandle file)
    {
        Span<byte> text = stackalloc byte[Bytes + 1];
        int had = 0;
        for (int attempt = 0; attempt < MostAttempts; attempt++)
        {
            had = RandomAccess.Read(file, text, 0);
            if (had == 0) return null;
            if (had == Bytes && Get(text, 0) is var id and >= 0 && Get(text, 2) == id && Get(text, 1) is var time and >= 0)
                return (id, time);
        }

        string found = Encoding.UTF8.GetString(text[..had]).TrimEnd();
        throw new CorruptSegmentException(
            $"{_files.Sequence} does not hold a number, a time and the number again, but '{found}'; empty it, and it is created again from "
            + $"the messages");
    }

    private static long Get(ReadOnlySpan<byte> text, int field) =>
        long.TryParse(text.Slice(field * (Digits + 1), Digits), NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number
        : -1;
}
