namespace Otto.Queue;

// A task's name, written once beside the code that it belongs to.

/// <summary>Names a task: put it on the task's type, or on the handler's.</summary>
/// <remarks>Programs that share a queue find each other by this name. Put it on the task's type if they share that
/// type, and on the handler otherwise.</remarks>
/// <param name="name">The task's stable name, the same in every process: 1 to 100 letters, digits, <c>.</c>, <c>_</c>
/// or <c>-</c>.</param>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Struct | AttributeTargets.Interface, Inherited = false)]
public sealed class TaskNameAttribute(string name) : Attribute
{
    /// <summary>Gets the name.</summary>
    public string Name { get; } = name;
}
