namespace Otto.Queue;

// The tasks of one queue, and which of them are handled here.

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
        foreach (TaskRegistration registration in all) registration.Prepare(services, filters);
    }
}
