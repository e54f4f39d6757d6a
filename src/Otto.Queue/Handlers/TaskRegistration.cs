using System.Collections.Concurrent;
using System.Text;

namespace Otto.Queue;

// A task's name tied to its type and serializer: found once an enqueue and once a message, after that everything is a direct call. It
// writes the task; TaskInvoker runs its handler. It knows no queue.

internal abstract class TaskRegistration(TaskDeclaration declaration, ITaskSerializer serializer, TaskInvoker invoker)
{
    internal string Name { get; } = declaration.Name;

    internal Type TaskType { get; } = declaration.TaskType;

    internal byte[] NameUtf8 { get; } = Encoding.UTF8.GetBytes(declaration.Name);

    internal string QueueName { get; } = declaration.QueueName;

    internal ITaskSerializer Serializer { get; } = serializer;

    /// <summary>Runs the handler, if it is in this process.</summary>
    internal TaskInvoker Invoker { get; } = invoker;

    internal bool HandledHere { get; } = declaration.Handles;

    internal RetryPolicy Retry { get; } = new(declaration.Options);

    internal TimeSpan? Timeout { get; } = declaration.Options.Timeout;

    internal int Concurrency { get; } = declaration.Options.Concurrency ?? Environment.ProcessorCount;

    internal KeyValuePair<string, object?> NameTag { get; } = new("otto.task.name", declaration.Name);

    /// <summary>Enqueues a task of which only the object's own type is known.</summary>
    internal abstract ValueTask<TaskReceipt> EnqueueAsync(ITaskDispatcher dispatcher, object task, EnqueueOptions? options,
        CancellationToken cancellationToken);

    /// <summary>Writes a whole envelope. The caller returns the buffer.</summary>
    internal abstract EnvelopeBuffer Write(object task, in EnvelopeHeader header);

    /// <summary>Whether two tasks give the same bytes.</summary>
    /// <exception cref="TaskSerializationException">One cannot be serialized.</exception>
    internal bool WritesSame(object one, object other)
    {
        EnvelopeBuffer buffer = Write(one, default);
        byte[] bytes = buffer.Written.ToArray();
        buffer.Return();
        buffer = Write(other, default);
        bool same = buffer.Written.SequenceEqual(bytes);
        buffer.Return();
        return same;
    }

    /// <summary>What the task would be after a trip through another route.</summary>
    internal abstract object RoundTrip(object task);

    /// <summary>Reads a payload and writes it again, which must give the same bytes.</summary>
    /// <exception cref="TaskSerializationException">It does not, or cannot be read.</exception>
    internal abstract object Reread(byte[] payload);
}

/// <summary>Takes in tasks by their registration.</summary>
internal interface ITaskDispatcher
{
    ValueTask<TaskReceipt> EnqueueAsync<TTask>(TaskRegistration<TTask> registration, TTask task, EnqueueOptions? options,
        CancellationToken cancellationToken)
        where TTask : notnull;
}

internal sealed class TaskRegistration<TTask>(TaskDeclaration<TTask> declaration, ITaskSerializer serializer)
    : TaskRegistration(declaration, serializer, new TaskInvoker<TTask>(declaration, serializer))
    where TTask : notnull
{
    private readonly ConcurrentDictionary<Type, string?> _derived = new();

    /// <summary>Checks that a task of a derived type stays one on every route.</summary>
    /// <exception cref="TaskSerializationException">It would not.</exception>
    internal void CheckDerived(TTask task)
    {
        // Found out once a type, by a trip.
        string? problem = _derived.GetOrAdd(task.GetType(), static (type, trip) => trip.Registration.TryTrip(trip.Task, type),
            (Registration: this, Task: task));
        if (problem is not null) throw new TaskSerializationException(problem);
    }

    private string? TryTrip(TTask task, Type type)
    {
        string advice = $"enqueue a {typeof(TTask).Name}, declare a task of type {type.Name}, or list the derived types for the "
            + "serializer, as [JsonDerivedType] does";
        try
        {
            return RoundTrip(task).GetType() == type ? null
                : $"task '{Name}' is declared as {typeof(TTask)}, and a {type} would arrive as one on another route; {advice}";
        }
        catch (TaskSerializationException e)
        {
            return $"task '{Name}' is declared as {typeof(TTask)}, and a {type} would not arrive on another route ({e.Message}); {advice}";
        }
    }

    internal override ValueTask<TaskReceipt> EnqueueAsync(ITaskDispatcher dispatcher, object task, EnqueueOptions? options,
        CancellationToken cancellationToken)
        => dispatcher.EnqueueAsync(this, (TTask)task, options, cancellationToken);

    internal override EnvelopeBuffer Write(object task, in EnvelopeHeader header) => WriteTyped((TTask)task, header);

    internal EnvelopeBuffer WriteTyped(TTask task, EnvelopeHeader header)
    {
        EnvelopeBuffer buffer = EnvelopeBuffer.Rent();
        header.Format = Serializer.Format;
        EnvelopeWriter.Write(header, buffer, NameUtf8);
        try
        {
            Serializer.Serialize(task, buffer);
        }
        catch (Exception e)
        {
            buffer.Return();
            throw new TaskSerializationException($"task '{Name}' ({typeof(TTask)}) cannot be serialized: {e.Message}", e);
        }

        EnvelopeWriter.Seal(buffer.Written);
        return buffer;
    }

    internal override object RoundTrip(object task)
    {
        EnvelopeBuffer buffer = WriteTyped((TTask)task, default);
        try
        {
            return Reread(buffer.WrittenMemory[(EnvelopeLayout.FixedBytes + NameUtf8.Length)..].ToArray());
        }
        finally
        {
            buffer.Return();
        }
    }

    internal override object Reread(byte[] payload)
    {
        try
        {
            TTask copy = Serializer.Deserialize<TTask>(payload);
            EnvelopeBuffer again = WriteTyped(copy, default);
            bool same = again.WrittenMemory.Span[(EnvelopeLayout.FixedBytes + NameUtf8.Length)..].SequenceEqual(payload);
            again.Return();
            return same ? copy : throw new TaskSerializationException(
                $"task '{Name}' ({typeof(TTask)}) does not survive serializing: written again after it was read, it differs");
        }
        catch (Exception e) when (e is not TaskSerializationException)
        {
            throw new TaskSerializationException(
                $"task '{Name}' ({typeof(TTask)}) cannot be read back from what it was written as: {e.Message}", e);
        }
    }
}

/// <summary>The tasks of one queue, and which of them are handled here.</summary>
internal sealed class TaskRegistrations(IReadOnlyList<TaskRegistration> all)
{
    private readonly TaskRegistration[] _handled = [.. all.Where(static r => r.HandledHere)];

    internal IReadOnlyList<TaskRegistration> All => all;

    internal ReadOnlySpan<TaskRegistration> Handled => _handled;

    internal bool HandlesAny => _handled.Length > 0;

    internal TaskRegistration? FindHandled(ReadOnlySpan<byte> name)
    {
        foreach (TaskRegistration registration in _handled)
            if (name.SequenceEqual(registration.NameUtf8)) return registration;
        return null;
    }

    internal void Prepare(IServiceProvider? services, ITaskFilter[] filters)
    {
        foreach (TaskRegistration registration in all) registration.Invoker.Prepare(services, filters);
    }
}
