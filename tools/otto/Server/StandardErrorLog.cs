using Microsoft.Extensions.Logging;

namespace Otto.Tools.Server;

// What the server logs, a line on standard error each: warnings and errors. As in every tool, an exception is its type and message.

internal sealed class StandardErrorLog(TextWriter output) : ILoggerFactory, ILogger
{
    private readonly Lock _gate = new();

    public ILogger CreateLogger(string categoryName) => this;

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException("this log has one destination: standard error");

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel is >= LogLevel.Warning and not LogLevel.None;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel)) return;
        string line = $"otto: {formatter(state, exception)}";
        if (exception is not null) line += $": {exception.GetType().Name}: {exception.Message}";
        lock (_gate) output.WriteLine(line.ReplaceLineEndings(" "));
    }

    public void Dispose()
    {
    }
}
