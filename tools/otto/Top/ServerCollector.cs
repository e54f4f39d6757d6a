using System.Text.Json;
using Otto.Ipc.Uds;

namespace Otto.Tools.Top;

// Progress that scripts told the server of sockets (otto progress), where one runs: without one there is none, and nothing is wrong.

internal sealed class ServerCollector(string? socket) : IAsyncDisposable
{
    private const string Suffix = ".progress";
    private const int MostTasks = 100;
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(1);

    private readonly UdsClient _client = new(new UdsTransportOptions { SocketPath = socket, ConnectTimeout = TimeSpan.Zero });

    public async Task<List<ProgressRow>> LookAsync(CancellationToken cancellationToken)
    {
        List<ProgressRow> sights = [];
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Timeout);
        try
        {
            foreach (string key in (await _client.ListAsync("*" + Suffix, limit.Token)).Take(MostTasks))
                if (await _client.GetAsync(key, limit.Token) is { } value && Read(key[..^Suffix.Length], value) is { } sight)
                    sights.Add(sight);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or TimeoutException
            && !cancellationToken.IsCancellationRequested)
        {
            // No server, or none that answers: the next look asks again.
        }

        return sights;
    }

    private static ProgressRow? Read(string task, ReadOnlyMemory<byte> value)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(value);
            JsonElement root = document.RootElement;
            return new ProgressRow(
                task, null, "Socket", root.GetProperty("current").GetDouble(),
                root.GetProperty("total") is { ValueKind: JsonValueKind.Number } total ? total.GetDouble() : null,
                root.TryGetProperty("text", out JsonElement text) ? text.GetString() : null);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            return null; // A key of somebody's own that ends like this.
        }
    }

    public ValueTask DisposeAsync() => _client.DisposeAsync();
}
