namespace Otto.Ipc.Files;

// How waiting ends: the kernel's word where it can be had, looking where it cannot.

/// <summary>How a waiter learns of a change.</summary>
public enum WatchMode
{
    /// <summary>The kernel tells, and once a second is looked nevertheless. Where the
    /// kernel has no watch left: as <see cref="Poll"/>.</summary>
    /// <remarks>One <c>inotify</c> instance and one thread serve the whole process.</remarks>
    Notify,

    /// <summary>By looking every <see cref="FilesTransportOptions.PollInterval"/>: for file
    /// systems that other machines write to.</summary>
    Poll,
}
