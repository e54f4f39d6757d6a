namespace Otto.Ipc.Platform;

/// <summary>What the wait thread of this process calls.</summary>
internal interface IWaitHandler
{
    /// <summary>Something happened to the socket or pipe that was armed; it is no longer
    /// armed. May come once too often.</summary>
    void OnReady();

    /// <summary>Some time has passed.</summary>
    /// <returns>The number of milliseconds until the next call; 0 for no further call.</returns>
    int OnTime() => 0;

    /// <summary>A call of this handler failed unexpectedly.</summary>
    void Fail(IOException failure)
    {
    }
}
