using System.Net.Sockets;
using Otto.Ipc.Uds.Clients;
using Otto.Ipc.Uds.Protocol;

namespace Otto.Ipc.Uds;

/// <summary>One message of a topic.</summary>
/// <param name="Topic">Which topic's.</param>
/// <param name="Bytes">The message.</param>
/// <param name="Lost">How many messages that matched were lost right before it; zero while
/// the listener keeps up.</param>
public readonly record struct UdsMessage(string Topic, ReadOnlyMemory<byte> Bytes, long Lost);

/// <summary>Messages of topics as they are published. Enumerate it once, on one thread at a time.</summary>
/// <remarks>It ends when it is disposed, and fails with an <see cref="IOException"/> where
/// the connection is lost or the server found it too slow.</remarks>
public sealed class UdsSubscription : IAsyncEnumerable<UdsMessage>, IAsyncDisposable
{
    private readonly EventConnection _connection;
    private volatile bool _disposed;

    private UdsSubscription(EventConnection connection) => _connection = connection;

    /// <inheritdoc/>
    public async IAsyncEnumerator<UdsMessage> GetAsyncEnumerator(CancellationToken cancellationToken = default)
    {
        long lost = 0;
        while (await NextAsync(cancellationToken).ConfigureAwait(false) is { } news)
        {
            if (news.Kind == EventKind.Lost)
            {
                lost += news.Lost;
                continue;
            }

            yield return new UdsMessage(news.Name, news.Value, lost);
            lost = 0;
        }
    }

    /// <summary>Ends the subscription.</summary>
    /// <returns>Completes at once.</returns>
    public ValueTask DisposeAsync()
    {
        _disposed = true;
        _connection.Dispose();
        return default;
    }

    internal static async Task<UdsSubscription> OpenAsync(UdsClient client, byte[] pattern, CancellationToken cancellationToken) =>
        new(await EventConnection.OpenAsync(client, pattern, Interests.Messages, cancellationToken).ConfigureAwait(false));

    private async ValueTask<WireEvent?> NextAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (!await _connection.NextAsync(cancellationToken).ConfigureAwait(false))
                return _disposed ? null : throw new IOException("the server has closed the connection");
            return _connection.IsAnswer(out _) ? throw new InvalidDataException("the server answered something that was not asked")
                : _connection.Event();
        }
        catch (Exception e) when (_disposed && e is SocketException or ObjectDisposedException or IOException)
        {
            return null;
        }
        catch (SocketException e)
        {
            throw new IOException($"the connection to the server was lost: {e.Message}", e);
        }
    }
}
