using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Otto.Queue;

// Starts and stops the queue with its host. What can fail fails while the host starts. Work begins only when all of the host has started: a
// host that fails while it starts disposes its services, and tasks that had begun would fail for it. Without a host there is nothing to
// wait for.

internal sealed class TaskQueueHostedService(TaskQueue queue, IServiceProvider services) : IHostedService, IDisposable
{
    private CancellationTokenRegistration _started;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await queue.PrepareAsync(cancellationToken).ConfigureAwait(false);
        if (services.GetService<IHostApplicationLifetime>() is { } lifetime)
            _started = lifetime.ApplicationStarted.UnsafeRegister(static queue => ((TaskQueue)queue!).BeginWork(), queue);
        else queue.BeginWork();
    }

    // The token fires when the host's shutdown timeout has passed: then running handlers are told to give way.
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _started.DisposeAsync().ConfigureAwait(false);
        await queue.StopAsync(cancellationToken).ConfigureAwait(false);
    }

    public void Dispose() => _started.Dispose();
}
