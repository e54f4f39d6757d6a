using System.Globalization;
using System.IO.Pipes;
using Otto.Queue;
using Otto.Tools.Platform;

namespace Otto.Tools.Queue;

// A command for a task: standard input is the payload, the exit code says whether the task is done. The command runs in a process group of
// its own, under the guard. It is done when it has exited, whatever it left in the background.

internal sealed class TaskCommand(string[] words, bool keepOutput, CommandGuard guard, WorkSignals signals)
{
    /// <summary>How long a group has between SIGTERM and SIGKILL.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    private int _running;
    private int _returned;

    /// <summary>Gets the number of commands that run.</summary>
    public int Running => Volatile.Read(ref _running);

    /// <summary>Gets the number of attempts that were given back.</summary>
    public int Returned => Volatile.Read(ref _returned);

    /// <summary>Waits until no command runs any more, once they have been told to end.</summary>
    public async Task EndedAsync()
    {
        while (Running > 0) await Task.Delay(5);
    }

    public async Task RunAsync(ReadOnlyMemory<byte> payload, TaskContext context, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _running);
        try
        {
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, signals.Ending);
            await RunOnceAsync(payload, context, stop.Token);
            return;
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
    }

    private async Task RunOnceAsync(ReadOnlyMemory<byte> payload, TaskContext context, CancellationToken stop)
    {
        stop.ThrowIfCancellationRequested();
        using var input = new AnonymousPipeServerStream(PipeDirection.Out, HandleInheritability.None);
        PassedOutput errors = new(), output = new();
        using GuardedCommand command = Start(context, input, errors, keepOutput ? output : null);
        using var exited = CancellationTokenSource.CreateLinkedTokenSource(stop);
        Task writing = WriteAsync(input, payload, exited.Token);
        int code;
        try
        {
            code = await command.Group.Exited.WaitAsync(stop);
        }
        catch (OperationCanceledException)
        {
            await command.Group.EndAsync(Grace, signals.Hurry);
            throw;
        }
        finally
        {
            // A process in the background may hold the pipe and read nothing; the payload's memory is the task's.
            await exited.CancelAsync();
            await writing;
        }

        if (keepOutput) await output.EndOfCommandAsync();
        string said = await errors.EndOfCommandAsync();
        if (code != 0) throw new InvalidOperationException($"{words[0]} ended with code {code}{(said.Length == 0 ? "" : $": {said}")}");
    }

    private GuardedCommand Start(TaskContext context, AnonymousPipeServerStream input, PassedOutput errors, PassedOutput? output)
    {
        (string, string)[] variables =
        [
            ("OTTO_TASK_ID", context.Id.ToString()), ("OTTO_TASK_NAME", context.Name), ("OTTO_TASK_QUEUE", context.Queue),
            ("OTTO_TASK_ATTEMPT", context.Attempt.ToString(CultureInfo.InvariantCulture)),
        ];
        try
        {
            string path = ExecutableLookup.Find(words[0]) ?? throw new IOException(ExecutableLookup.Problem(words[0])?.Words);
            return guard.Start(path, words, variables, [(int)input.ClientSafePipeHandle.DangerousGetHandle(),
                output?.ChildDescriptor ?? PosixSpawn.Inherited, errors.ChildDescriptor]);
        }
        finally
        {
            input.DisposeLocalCopyOfClientHandle();
            output?.Start();
            errors.Start();
        }
    }

    private static async Task WriteAsync(AnonymousPipeServerStream input, ReadOnlyMemory<byte> payload, CancellationToken exited)
    {
        try
        {
            await input.WriteAsync(payload, exited);
            await input.DisposeAsync();
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // It does not want to read all of it.
        }
    }
}
