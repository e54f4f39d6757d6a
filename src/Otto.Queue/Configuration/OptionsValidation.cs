using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Otto.Ipc;

namespace Otto.Queue;

// What options must hold for a queue to be made of them. Each error names the option, its value and its range.

internal static class OptionsValidation
{
    /// <exception cref="ArgumentException">An option is out of its range, or two contradict each other.</exception>
    internal static void Check(TaskQueueOptions options)
    {
        CheckRange("InProcess.Capacity", options.InProcess.Capacity, 1, InProcessOptions.MaxCapacity);
        CheckRange("InProcess.Weight", options.InProcess.Weight, 1, 10_000);
        CheckRange("SharedMemory.MaxParticipants", options.SharedMemory.MaxParticipants, 2, 1024);
        CheckRange("SharedMemory.Weight", options.SharedMemory.Weight, 1, 10_000);
        Require(options.DrainTimeout >= TimeSpan.Zero && options.DrainTimeout <= TimeSpan.FromDays(1),
            $"DrainTimeout must be 0 to 1 day: {options.DrainTimeout}");
        CheckRoutes(options);
        foreach (IGrouping<string, TaskDeclaration> queue in options.Declarations.GroupBy(static d => d.QueueName)) CheckQueue(queue);
        IServiceProviderIsService? services = options.Services?.GetService<IServiceProviderIsService>();
        foreach (TaskDeclaration task in options.Declarations)
        {
            CheckTask(task, options);
            if (services is not null && task.Activator is { } activator
                && activator.FindMissing(services, options.HandlersByConstructor.Contains(activator.HandlerType)) is { } missing)
                throw new ArgumentException($"task '{task.Name}': its handler needs {missing}, which is not among the services");
        }
    }

    private static void CheckRoutes(TaskQueueOptions options)
    {
        IReadOnlyList<ITaskRoute> routes = options.Routes;
        for (int i = 0; i < routes.Count; i++)
        {
            Require(routes[i] is not null, "an added route is null");
            Require(routes[i].Name != RouteName.InProcess,
                "an added route has the name InProcess; an added route must lead to other processes");
            Require(!routes.Take(i).Any(r => r.Name == routes[i].Name), $"route {routes[i].Name} is added twice");
            CheckRange($"{routes[i].Name}.Weight", routes[i].Weight, 1, 10_000);
        }

        Require(options.InProcess.Enabled || routes.Count > 0,
            "no route is on: InProcess and SharedMemory are both disabled or not available here, and none was added");
    }

    private static void CheckTask(TaskDeclaration task, TaskQueueOptions options)
    {
        HandlerOptions o = task.Options;
        string of = $"task '{task.Name}': ";
        _ = new ChannelName(task.QueueName); // It may have been set since the task was declared.
        CheckRange(of + "Retries", o.Retries, 0, 1000);
        int attempts = options.SharedMemory.MaxAttempts ?? Ipc.Mmap.MmapQueueOptions.DefaultMaxAttempts;
        Require(!task.Handles || !options.SharedMemory.Enabled || o.Retries < attempts,
            $"{of}Retries of {o.Retries} makes {o.Retries + 1} attempts, more than the {attempts} after which its segment moves a task to "
            + $"the dead letters; raise SharedMemory.MaxAttempts");
        Require(o.FirstDelay >= TimeSpan.Zero && o.FirstDelay <= o.MaxDelay,
            $"{of}FirstDelay must be 0 to MaxDelay ({o.MaxDelay}): {o.FirstDelay}");
        Require(o.MaxDelay <= TimeSpan.FromDays(1), $"{of}MaxDelay must be at most a day: {o.MaxDelay}");
        Require(o.Factor is >= 1 and <= 100, string.Create(CultureInfo.InvariantCulture, $"{of}Factor must be 1 to 100: {o.Factor}"));
        Require(o.Jitter is >= 0 and <= 1, string.Create(CultureInfo.InvariantCulture, $"{of}Jitter must be 0 to 1: {o.Jitter}"));
        if (o.Timeout is { } timeout)
            Require(timeout >= TimeSpan.FromMilliseconds(1) && timeout <= TimeSpan.FromDays(24),
                $"{of}Timeout must be 1 ms to 24 days: {timeout}");
        if (o.Concurrency is { } concurrency) CheckRange(of + "Concurrency", concurrency, 1, 10_000);
        if ((options.Routes.Count > 0 || options.RoundTripEveryTask)
            && options.SerializerOf(task).Refuses(task.TaskType) is { } refusal)
            throw new ArgumentException(of + refusal);
        if ((options.Routes.Count > 0 || options.RoundTripEveryTask) && task.ResultType is { } result
            && options.SerializerOf(task).Refuses(result) is { } resultRefusal)
            throw new ArgumentException($"{of}its result: {resultRefusal}");
    }

    private static void CheckQueue(IGrouping<string, TaskDeclaration> queue)
    {
        List<TaskDeclaration> handled = [.. queue.Where(static d => d.Handles)];
        string[] limits = [.. handled.Select(static d => d.Options.Concurrency ?? Environment.ProcessorCount).Distinct().Select(
            static c => c.ToString(CultureInfo.InvariantCulture))];
        Require(limits.Length <= 1, $"queue '{queue.Key}' holds {string.Join(", ", handled.Select(static d => d.Name))}, which share its "
            + $"workers but ask for Concurrency {string.Join(" and ", limits)}; give them the same");
    }

    private static void CheckRange(string what, int value, int low, int high)
        => Require(value >= low && value <= high,
            string.Create(CultureInfo.InvariantCulture, $"{what} must be {low:N0} to {high:N0}: {value:N0}"));

    private static void Require([DoesNotReturnIf(false)] bool holds, string problem)
    {
        if (!holds) throw new ArgumentException(problem);
    }
}
