using System.Buffers;
using System.IO.Pipes;
using System.Threading.Channels;
using Otto.Tools.Platform;

namespace Otto.Tools.Queue;

// A command that lives for many tasks: a line to its standard input for each, and a line from its standard output as the answer.

internal sealed class LineProcess : IAsyncDisposable
{
    /// <summary>The longest answer.</summary>
    public const int MaxAnswerBytes = 1 << 20;

    private readonly Channel<ReadOnlyMemory<byte>> _answers = Channel.CreateBounded<ReadOnlyMemory<byte>>(4);
    private readonly AnonymousPipeServerStream _input, _output;
    private readonly PassedOutput _errors;
    private readonly GuardedCommand _command;
    private volatile bool _wroteMore;

    private LineProcess(GuardedCommand command, AnonymousPipeServerStream input, AnonymousPipeServerStream output, PassedOutput errors)
    {
        _command = command;
        _input = input;
        _output = output;
        _errors = errors;
        _ = ReadAsync();
    }

    public ProcessGroup Group => _command.Group;

    /// <summary>Gets whether a task may be sent: it runs, and has not written what nobody asked for.</summary>
    public bool IsReady =>
        !_wroteMore && !Group.Exited.IsCompleted && !_answers.Reader.TryPeek(out _) && !_answers.Reader.Completion.IsCompleted;

    /// <summary>Gets whether it has answered a task.</summary>
    public bool HasAnswered { get; private set; }

    /// <summary>Starts a process.</summary>
    /// <param name="start">Starts the command with these as its standard streams.</param>
    public static LineProcess Start(Func<int, int, int, GuardedCommand> start)
    {
        var input = new AnonymousPipeServerStream(PipeDirection.Out, HandleInheritability.None);
        var output = new AnonymousPipeServerStream(PipeDirection.In, HandleInheritability.None);
        PassedOutput errors = new();
        try
        {
            GuardedCommand command = start((int)input.ClientSafePipeHandle.DangerousGetHandle(),
                (int)output.ClientSafePipeHandle.DangerousGetHandle(), errors.ChildDescriptor);
            return new LineProcess(command, input, output, errors);
        }
        catch
        {
            input.Dispose();
            output.Dispose();
            throw;
        }
        finally
        {
            input.DisposeLocalCopyOfClientHandle();
            output.DisposeLocalCopyOfClientHandle();
            errors.Start();
        }
    }

    /// <summary>Sends a line and waits for the answer.</summary>
    /// <returns>The answer, without its line end; <see langword="null"/> if the process ended first.</returns>
    /// <exception cref="InvalidDataException">The answer is longer than <see cref="MaxAnswerBytes"/>.</exception>
    public async Task<ReadOnlyMemory<byte>?> AskAsync(ReadOnlyMemory<byte> line, CancellationToken stop)
    {
        using var answered = CancellationTokenSource.CreateLinkedTokenSource(stop);
        Task writing = WriteAsync(line, answered.Token);
        try
        {
            // What it left in the background may keep the pipe open.
            Task<bool> answer = _answers.Reader.WaitToReadAsync(answered.Token).AsTask();
            if (await Task.WhenAny(answer, Group.Exited) != answer)
                await Task.WhenAny(answer, Task.Delay(PassedOutput.Moment, stop));
            stop.ThrowIfCancellationRequested();
            if (!answer.IsCompleted || !await answer || !_answers.Reader.TryRead(out ReadOnlyMemory<byte> read)) return null;
            HasAnswered = true;
            return read;
        }
        finally
        {
            await answered.CancelAsync();
            await writing;
        }
    }

    /// <summary>Waits a moment for the end of what it wrote to standard error.</summary>
    public Task<string> LastWordsAsync() => _errors.EndOfCommandAsync();

    /// <summary>Lets it end: its standard input ends.</summary>
    public async Task CloseAsync(TimeSpan limit, CancellationToken hurry)
    {
        await _input.DisposeAsync();
        await Task.WhenAny(Group.Exited, Task.Delay(limit, hurry));
    }

    public async ValueTask DisposeAsync()
    {
        await _input.DisposeAsync();
        await _output.DisposeAsync();
        _command.Dispose();
    }

    private async Task WriteAsync(ReadOnlyMemory<byte> line, CancellationToken answered)
    {
        try
        {
            await _input.WriteAsync(line, answered);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // It has ended, or answered before it had read everything.
        }
    }

    private async Task ReadAsync()
    {
        byte[] buffer = new byte[1 << 14];
        ArrayBufferWriter<byte> line = new();
        try
        {
            for (int read; (read = await _output.ReadAsync(buffer)) > 0;)
            {
                ReadOnlyMemory<byte> rest = buffer.AsMemory(0, read);
                for (int end; (end = rest.Span.IndexOf((byte)'\n')) >= 0; rest = rest[(end + 1)..])
                {
                    line.Write(rest.Span[..end]);
                    // Before the answer is published: one task at a time has one answer.
                    if (end + 1 < rest.Length) _wroteMore = true;
                    await _answers.Writer.WriteAsync(line.WrittenSpan.ToArray());
                    line.ResetWrittenCount();
                }

                line.Write(rest.Span);
                if (line.WrittenCount > MaxAnswerBytes)
                    throw new InvalidDataException($"an answer has more than {MaxAnswerBytes:N0} bytes");
            }

            _answers.Writer.Complete();
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidDataException)
        {
            _answers.Writer.Complete(e is InvalidDataException ? e : null);
        }
    }
}
