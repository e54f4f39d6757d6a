using System.Runtime.ExceptionServices;

namespace Otto.Ipc.Mmap.Segments;

// One round of maintenance of one handle. What one of its actions throws must not keep the others from running: a damaged pool of loans is
// no reason to leave a dead worker's messages leased.

internal struct MaintenanceRound
{
    private Exception? _first;

    /// <summary>Runs one action.</summary>
    public void Run(Action action)
    {
        try
        {
            action();
        }
#pragma warning disable CA1031 // Thrown by ThrowIfFailed, once the other actions have run.
        catch (Exception e)
#pragma warning restore CA1031
        {
            _first ??= e;
        }
    }

    /// <summary>Throws what the first action that failed threw.</summary>
    public readonly void ThrowIfFailed()
    {
        if (_first is not null) ExceptionDispatchInfo.Throw(_first);
    }
}
