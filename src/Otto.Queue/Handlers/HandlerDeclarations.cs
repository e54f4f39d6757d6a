using System.Diagnostics.CodeAnalysis;
using System.Reflection;

namespace Otto.Queue;

// Declarations of handlers that are types: what the type's interface and attributes say about its task.

internal static class HandlerDeclarations
{
    /// <summary>Declares a handler without a result.</summary>
    internal static TaskDeclaration WithoutResult<TTask>(string name, HandlerOptions options, HandlerActivator activator)
        where TTask : notnull
        => new TaskDeclaration<TTask>(name, options)
        {
            Activator = activator,
            Resolve = services => (ITaskHandler<TTask>)activator.Create(services),
        };

    /// <summary>Declares a handler with a result.</summary>
    internal static TaskDeclaration WithResult<TTask, TResult>(string name, HandlerOptions options, HandlerActivator activator)
        where TTask : notnull
        => new TaskDeclaration<TTask>(name, options)
        {
            Activator = activator,
            Resolve = services => new ResultHandler<TTask, TResult>((ITaskHandler<TTask, TResult>)activator.Create(services)),
            WriteResult = ResultHandler<TTask, TResult>.Write,
            ResultType = typeof(TResult),
        };

    /// <summary>Declares a handler by what its interface says.</summary>
    /// <exception cref="ArgumentException">It handles no task, or several.</exception>
    [RequiresDynamicCode("The task's type is found at run time.")]
    internal static TaskDeclaration Find<[DynamicallyAccessedMembers(
        DynamicallyAccessedMemberTypes.PublicConstructors | DynamicallyAccessedMemberTypes.Interfaces)] THandler>(HandlerOptions options)
        where THandler : class
    {
        Type[] contracts = [.. typeof(THandler).GetInterfaces().Where(static i => i.IsGenericType
            && (i.GetGenericTypeDefinition() == typeof(ITaskHandler<>) || i.GetGenericTypeDefinition() == typeof(ITaskHandler<,>)))];
        if (contracts is not [Type contract])
            throw new ArgumentException(contracts.Length == 0
                ? $"{typeof(THandler)} is not a handler; implement ITaskHandler<TTask> or ITaskHandler<TTask, TResult>"
                : $"{typeof(THandler)} handles {contracts.Length} kinds of tasks; declare each with AddHandler<TTask, THandler>");
        Type[] types = contract.GetGenericArguments();
        MethodInfo declare = types.Length == 1
            ? typeof(HandlerDeclarations).GetMethod(nameof(WithoutResult), BindingFlags.NonPublic | BindingFlags.Static)!
            : typeof(HandlerDeclarations).GetMethod(nameof(WithResult), BindingFlags.NonPublic | BindingFlags.Static)!;
        return (TaskDeclaration)declare.MakeGenericMethod(types).Invoke(
            null, BindingFlags.DoNotWrapExceptions, null,
            [TaskNames.Of(types[0], typeof(THandler)), options, new HandlerActivator<THandler>()], null)!;
    }
}
