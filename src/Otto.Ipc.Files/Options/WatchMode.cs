namespace Otto.Ipc.Files;

// How waiting ends: the kernel's word where it can be had, looking where it cannot.

/// <summary>How a waiter learns of a change.</summary>
public enum WatchMode
{
    /// <summary>The kernel reports changes, and the waiter also polls once per second. If the kernel has no watch left,
    /// the waiter polls as with <see cref="Poll"/>.</summary>
    /// <remarks>One <c>inotify</c> instance and one thread serve the whole process.</remarks>
    Notify,

    /// <summary>By looking every <see cref="FilesTransportOptions.PollInterval"/>: for file
    /// systems that other machines write to.</summary>
    Poll,
}
