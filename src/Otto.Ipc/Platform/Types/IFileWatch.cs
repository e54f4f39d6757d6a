namespace Otto.Ipc.Platform;

/// <summary>A watch of one path. For one thread.</summary>
internal interface IFileWatch : IDisposable
{
    /// <summary>Watches the file that the path leads to now, which may be another than before.</summary>
    void Arm();

    /// <summary>Sleeps until something happened, or the time is over.</summary>
    void Wait(TimeSpan atMost);
}
