using Otto.Queue;
using Otto.Tools.Platform;

namespace Otto.Tools.Queue;

// What runs tasks by commands, and what a second signal means for it: the commands end, and then their tasks go back.

internal abstract class TaskRunner(string[] words, CommandGuard guard, WorkSignals signals)
{
    /// <summary>How long a group has between SIGTERM and SIGKILL.</summary>
    protected static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    private int _running;
    private int _returned;

    /// <summary>Gets the number of tasks that run.</summary>
    public int Running => Volatile.Read(ref _running);

    /// <summary>Gets the number of attempts that were given back.</summary>
    public int Returned => Volatile.Read(ref _returned);

    protected string Name => words[0];

    protected WorkSignals Signals => signals;

    /// <summary>Waits until no task runs any more, once their commands have been told to end.</summary>
    public async Task EndedAsync()
    {
        while (Running > 0) await Task.Delay(5);
    }

    /// <summary>Runs a task.</summary>
    /// <returns>Its result, as JSON.</returns>
    public async Task<ReadOnlyMemory<byte>> RunAsync(ReadOnlyMemory<byte> payload, TaskContext context, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _running);
        try
        {
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, signals.Ending);
            stop.Token.ThrowIfCancellationRequested();
            return await RunOnceAsync(payload, context, stop.Token);
        }
        catch (OperationCanceledException) when (signals.Ending.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            // Ended by the second signal: the task goes back when the queue says so.
            Interlocked.Increment(ref _returned);
        }
        finally
        {
            Interlocked.Decrement(ref _running);
        }

        await Task.Delay(Timeout.Infinite, cancellationToken);
        throw new OperationCanceledException(cancellationToken);
    }

    /// <summary>Ends what runs although no task does.</summary>
    public virtual Task CloseAsync() => Task.CompletedTask;

    protected abstract Task<ReadOnlyMemory<byte>> RunOnceAsync(ReadOnlyMemory<byte> payload, TaskContext context, CancellationToken stop);

    /// <summary>Starts the command.</summary>
    protected GuardedCommand Start((string Name, string Value)[] variables, int input, int output, int errors)
    {
        string path = ExecutableLookup.Find(Name) ?? throw new IOException(ExecutableLookup.Problem(Name)?.Words);
        return guard.Start(path, words, variables, [input, output, errors]);
    }
}
