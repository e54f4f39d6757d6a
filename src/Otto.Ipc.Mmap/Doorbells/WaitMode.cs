namespace Otto.Ipc.Mmap;

// The kernel's help is chosen at run time; the portable part can be forced, which is how it is tested.

/// <summary>How a waiter sleeps.</summary>
public enum WaitMode
{
    /// <summary>The kernel's futex where there is one, else <see cref="Portable"/>.</summary>
    Auto,

    /// <summary>
    /// Short sleeps with a poll after each one. This mode needs nothing of the kernel, and costs a few hundred wake-ups
    /// per second while waiting.
    /// </summary>
    Portable,
}
