namespace Otto.Ipc.Platform;

/// <summary>Waiting without the system's help: sleeps that grow from short to a few milliseconds.</summary>
internal struct PortablePause
{
    public static readonly TimeSpan Longest = TimeSpan.FromMilliseconds(5);
    private int _pauses;

    public void Pause(TimeSpan? left)
    {
        if (_pauses++ < 20)
        {
            Thread.Yield();
            return;
        }

        TimeSpan pause = TimeSpan.FromMilliseconds(Math.Min(_pauses - 19, Longest.TotalMilliseconds));
        Thread.Sleep(left is { } l && l < pause ? l : pause);
    }
}
