namespace Otto.Ipc.Platform;

/// <summary>What the wait thread of this process calls.</summary>
internal interface IWaitHandler
{
    /// <summary>
    /// Something happened to the descriptor that was armed; it is no longer armed. May come once too often.
    /// </summary>
    void Attend();

    /// <summary>Some time has passed.</summary>
    /// <returns>After how many milliseconds to call again; 0 for not at all.</returns>
    int Tick() => 0;

    /// <summary>A call of this handler failed in a way that was not foreseen.</summary>
    void Fail(IOException failure)
    {
    }
}
