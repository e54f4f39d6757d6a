using Microsoft.Extensions.Logging;

namespace Otto.Ipc.Uds.Server;

/// <summary>What the server logs. Event ids and names of the values stay as they are.</summary>
internal static partial class ServerLog
{
    [LoggerMessage(1, LogLevel.Error, "Serving a client failed unexpectedly; its connection was closed, the server continues")]
    public static partial void ClientFailed(this ILogger log, Exception exception);

    [LoggerMessage(2, LogLevel.Error, "Accepting clients failed; the server continues")]
    public static partial void AcceptFailed(this ILogger log, Exception exception);

    [LoggerMessage(3, LogLevel.Warning, "A client was rejected: {Reason}")]
    public static partial void RejectedClient(this ILogger log, string reason);

    [LoggerMessage(4, LogLevel.Warning, "A subscriber was closed because it read too slowly; {UnreadBytes} bytes were unread")]
    public static partial void EvictedSlowSubscriber(this ILogger log, long unreadBytes);

    [LoggerMessage(5, LogLevel.Warning, "A client was closed because it did not read and memory is short; {UnreadBytes} bytes were "
        + "unread, {UsedBytes} of {MaxBufferedBytes} bytes wait in all connections")]
    public static partial void ClosedForMemory(this ILogger log, long unreadBytes, long usedBytes, long maxBufferedBytes);

    [LoggerMessage(6, LogLevel.Critical, "The server at {SocketPath} failed and stopped")]
    public static partial void ServerFailed(this ILogger log, string socketPath, Exception exception);

    [LoggerMessage(7, LogLevel.Warning, "The socket {SocketPath} was deleted while the server listened there; it listens there again")]
    public static partial void ListensAgain(this ILogger log, string socketPath);

    [LoggerMessage(8, LogLevel.Error, "The socket {SocketPath} was deleted while the server listened there, and cannot be made again; "
        + "clients that are connected are served, and the server tries again every second")]
    public static partial void CannotListenAgain(this ILogger log, string socketPath, Exception exception);
}
