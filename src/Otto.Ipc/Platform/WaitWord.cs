using Otto.Ipc.Platform.Linux;

namespace Otto.Ipc.Platform;

// Sleeping while a word in shared memory holds a value, and waking everybody who sleeps on it. A sleep may end for any reason or none:
// the caller
// looks at its word again. A word is named by its segment and offset as well as by its address, since only Linux waits on addresses.

internal static class WaitWord
{
    /// <summary>
    /// Whether the system can sleep on a word. Where it cannot, callers sleep for short times and look:
    /// <see cref="PortablePause"/>.
    /// </summary>
    public static readonly bool CanSleep = HostSystem.UsesLinux;

    /// <summary>Whether one thread can sleep on many words at once: <see cref="WaitWordSet"/>.</summary>
    public static readonly bool CanSleepOnMany = HostSystem.UsesLinux && Futex.HasWaitVector;

    /// <summary>Sleeps while the word holds <paramref name="expected"/>, for this long at most.</summary>
    public static void Wait(in WaitTarget word, int expected, TimeSpan? timeout)
    {
        if (CanSleep) Futex.Wait(word.Address, expected, timeout);
        else Portable.PortableWaitWord.Wait(word.Address, expected, timeout);
    }

    /// <summary>Wakes every process that sleeps on the word.</summary>
    public static void WakeAll(in WaitTarget word)
    {
        if (CanSleep) Futex.WakeAll(word.Address);
    }
}

/// <summary>Words that one thread sleeps on at once. For one thread.</summary>
internal sealed class WaitWordSet
{
    private readonly Futex.WaitEntry[] _entries = new Futex.WaitEntry[Futex.MaxWords];
    private int _count;

    /// <summary>How many words fit.</summary>
    public const int Capacity = Futex.MaxWords;

    public void Clear() => _count = 0;

    public void Add(in WaitTarget word, int expected) => _entries[_count++] = new Futex.WaitEntry(word.Address, expected);

    /// <summary>Sleeps while every word holds its value.</summary>
    public void Wait() => Futex.WaitAny(_entries.AsSpan(0, _count));
}
