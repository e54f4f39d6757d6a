using System.Globalization;
using System.IO.Pipes;
using Otto.Queue;
using Otto.Tools.Platform;

namespace Otto.Tools.Queue;

// A command for a task: standard input is the payload, the exit code says whether the task is done. The command runs in a process group of
// its own, under the guard. It is done when it has exited, whatever it left in the background.

internal sealed class TaskCommand(string[] words, bool keepOutput, CommandGuard guard, WorkSignals signals)
    : TaskRunner(words, guard, signals)
{
    protected override async Task<ReadOnlyMemory<byte>> RunOnceAsync(ReadOnlyMemory<byte> payload, TaskContext context,
        CancellationToken stop)
    {
        using var input = new AnonymousPipeServerStream(PipeDirection.Out, HandleInheritability.None);
        PassedOutput errors = new();
        PassedOutput? output = keepOutput ? new() : null;
        using GuardedCommand command = Start(context, input, errors, output);
        using var exited = CancellationTokenSource.CreateLinkedTokenSource(stop);
        Task writing = WriteAsync(input, payload, exited.Token);
        int code;
        try
        {
            code = await command.Group.Exited.WaitAsync(stop);
        }
        catch (OperationCanceledException)
        {
            await command.Group.EndAsync(Grace, Signals.Hurry);
            throw;
        }
        finally
        {
            // A process in the background may hold the pipe and read nothing; the payload's memory is the task's.
            await exited.CancelAsync();
            await writing;
        }

        if (output is not null) await output.EndOfCommandAsync();
        string said = await errors.EndOfCommandAsync();
        if (code != 0) throw new InvalidOperationException($"{Name} ended with code {code}{(said.Length == 0 ? "" : $": {said}")}");
        return default;
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
            return Start(variables, (int)input.ClientSafePipeHandle.DangerousGetHandle(),
                output?.ChildDescriptor ?? PosixSpawn.Inherited, errors.ChildDescriptor);
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
