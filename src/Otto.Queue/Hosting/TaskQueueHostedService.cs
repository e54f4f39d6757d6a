using Microsoft.Extensions.Hosting;

namespace Otto.Queue;

// Starts and stops the queue with its host. Making the queue checks its options, so a mistake stops the host from starting.

internal sealed class TaskQueueHostedService(TaskQueue queue) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken) => queue.StartAsync(cancellationToken);

    // The token fires when the host's shutdown timeout has passed: then running handlers are told to give way.
    public Task StopAsync(CancellationToken cancellationToken) => queue.StopAsync(cancellationToken);
}
