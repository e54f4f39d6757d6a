using System.Globalization;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Otto.Ipc;

namespace Otto.Queue;

// Whether tasks can go where they should, and whether anybody takes them.

internal sealed class QueueHealthCheck(TaskQueue queue, TimeSpan oldest) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        Dictionary<string, object> data = [];
        List<string> down = [], late = [];
        HashSet<RouteWarning> unsafely = []; // Queues that share a server share its faults.
        foreach (QueueRuntime runtime in queue.Queues)
        {
            foreach (RouteConnection route in runtime.Routes)
            {
                string name = $"{runtime.Name}/{route.Name}";
                try
                {
                    if (route.Channel.Status is { } error) throw new IOException(error);
                    foreach (RouteWarning warning in route.Channel.Warnings)
                    {
                        data[$"{name}/{warning.Code}"] = warning.Text;
                        if (warning.IsDegrading && unsafely.Add(warning)) late.Add($"{route.Name}: {warning.Text}");
                    }

                    WorkQueueCounts counts = await route.Channel.CountAsync(cancellationToken).ConfigureAwait(false);
                    data[name] = string.Create(CultureInfo.InvariantCulture, $"{counts.Ready} ready, {counts.Leased} leased, "
                        + $"{counts.Delayed} delayed, {counts.Dead} dead, oldest {counts.OldestReadyAge.TotalSeconds:0.###} s");
                    if (counts.OldestReadyAge > oldest)
                        late.Add(string.Create(CultureInfo.InvariantCulture, $"{name}: the oldest of {counts.Ready:N0} ready tasks has "
                            + $"waited {counts.OldestReadyAge.TotalSeconds:N0} s, more than {oldest.TotalSeconds:N0}"));
                }
                catch (Exception e) when (e is IOException or ObjectDisposedException)
                {
                    data[name] = e.Message;
                    down.Add($"{name}: {e.Message}");
                }
            }

            data[$"{runtime.Name}/{RouteName.InProcess}"] = string.Create(CultureInfo.InvariantCulture, $"{runtime.Waiting} waiting");
        }

        HealthStatus status = down.Count > 0 ? context.Registration.FailureStatus
            : late.Count > 0 ? HealthStatus.Degraded : HealthStatus.Healthy;
        return new HealthCheckResult(status, string.Join("; ", down.Concat(late)), data: data);
    }
}
