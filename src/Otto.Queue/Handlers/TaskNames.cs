using System.Reflection;
using Otto.Ipc;

namespace Otto.Queue;

// The name of a task that was declared without one.

internal static class TaskNames
{
    /// <summary>Finds a task's name: on its handler, then on its type, else the type's own name.</summary>
    /// <exception cref="ArgumentException">The type's own name cannot be a task's.</exception>
    internal static string Of(Type task, Type? handler = null)
    {
        string? named = handler?.GetCustomAttribute<TaskNameAttribute>()?.Name ?? task.GetCustomAttribute<TaskNameAttribute>()?.Name;
        if (named is not null) return named;
        return ChannelName.TryParse(task.Name, out _) ? task.Name : throw new ArgumentException(
            $"'{task.Name}' cannot be the name of a task; give {task} a name, or put [TaskName] on the task's or the handler's type");
    }
}
