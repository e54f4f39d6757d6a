namespace Otto.Ipc.Platform;

/// <summary>Waits for a change in a directory.</summary>
internal interface IDirectoryWaiter
{
    /// <summary>
    /// Something changed, or may have. Called on the thread of the watches, which must not be held up.
    /// </summary>
    void OnChanged();
}
