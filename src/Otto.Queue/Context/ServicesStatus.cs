using Microsoft.Extensions.DependencyInjection;

namespace Otto.Queue;

// Whether the program's services can still be used: a host that fails while it starts, or is disposed without a stop, disposes them while
// handlers run. What fails then is not the task's failure.

internal sealed class ServicesStatus
{
    private IServiceProvider? _services;

    /// <summary>Sets the services that handlers are made from.</summary>
    internal void Use(IServiceProvider? services) => _services = services;

    /// <summary>Whether the services were disposed. Asked only after a failure.</summary>
    internal bool AreGone
    {
        get
        {
            try
            {
                _services?.GetService<IServiceScopeFactory>();
                return false;
            }
            catch (ObjectDisposedException)
            {
                return true;
            }
        }
    }
}
