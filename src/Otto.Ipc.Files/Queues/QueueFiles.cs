using Otto.Ipc.Files.Paths;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Queues;

// Where a queue's files lie. A message is in exactly one of these directories, and goes from one to the other by a rename.
//
//  queue.json       what the queue is made of
//  sequence         the last number and time given out; its flock is the senders' lock
//  ready/           waits for a worker, first name first
//  delayed/         its time has not come
//  leased/<worker>/ a worker has it; lock is held as long as the worker lives, works is there while it takes work
//  dead/            given up; why stands in a .txt beside it

internal sealed class QueueFiles
{
    public QueueFiles(string root)
    {
        Root = root;
        Ready = RootDirectory.Ensure(root, "ready");
        Delayed = RootDirectory.Ensure(root, "delayed");
        Leased = RootDirectory.Ensure(root, "leased");
        Dead = RootDirectory.Ensure(root, "dead");
    }

    public string Root { get; }

    public string Ready { get; }

    public string Delayed { get; }

    public string Leased { get; }

    public string Dead { get; }

    public string Sequence => Path.Combine(Root, "sequence");

    /// <summary>The messages in a directory other than <see cref="Delayed"/>; files of any
    /// other name are left alone.</summary>
    public static List<MessageName> MessagesIn(string directory)
    {
        var messages = new List<MessageName>();
        foreach (string file in RootDirectory.NamesIn(directory))
        {
            if (MessageName.TryParse(file, out MessageName name)) messages.Add(name);
        }

        return messages;
    }

    /// <summary>The messages whose time has not come.</summary>
    public List<DelayedName> DelayedMessages()
    {
        var messages = new List<DelayedName>();
        foreach (string file in RootDirectory.NamesIn(Delayed))
        {
            if (DelayedName.TryParse(file, out DelayedName name)) messages.Add(name);
        }

        return messages;
    }

    /// <summary>The directories of workers, half-made ones too.</summary>
    public IEnumerable<string> WorkerDirectories() => RootDirectory.NamesIn(Leased).Select(name => Path.Combine(Leased, name))
        .Where(path => PrivateFiles.Status(path) is { IsDirectory: true });

    /// <summary>How many messages and reservations take room. Counted while others move, so
    /// wrong by as many as move just then.</summary>
    public int CountTaken() => MessagesIn(Ready).Count + DelayedMessages().Count + MessagesIn(Dead).Count
        + WorkerDirectories().Sum(worker => RootDirectory.NamesIn(worker).Count(WorkerDirectory.TakesRoom));

    /// <summary>The highest number of the sequence that any message has, for a queue whose sequence was lost.</summary>
    public long HighestId()
    {
        IEnumerable<MessageName> delayed = DelayedMessages().Select(message => message.Message);
        IEnumerable<MessageName> others = MessagesIn(Ready).Concat(MessagesIn(Dead)).Concat(WorkerDirectories().SelectMany(MessagesIn));
        return delayed.Concat(others).Select(message => message.Id).Where(id => id < MessageName.FirstForeignId).DefaultIfEmpty().Max();
    }
}
