using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using StackExchange.Redis;

namespace Otto.Queue.Redis;

// Where the heartbeat's commands go: to the master that the client knows, or, in a cluster, to the one that the others name.
// Used by one thread only.

internal sealed class DirectConnections(IConnectionMultiplexer multiplexer, ConfigurationOptions options, TimeSpan timeout) : IDisposable
{
    private const int MostRedirects = 5;
    private const int LongestPauseMilliseconds = 300_000;

    private readonly Dictionary<EndPoint, DirectConnection> _open = [];
    // In a cluster each queue has its master.
    private readonly Dictionary<string, EndPoint> _masters = [];
    // Renamed commands and proxies are the client's business.
    private readonly bool _possible = options.Proxy == Proxy.None && ReferenceEquals(options.CommandMap, CommandMap.Default);
    private long _notBefore;
    private int _pause;

    /// <summary>Runs a script where its first key is.</summary>
    /// <returns>The answer; <see langword="null"/> if no connection of this kind can be made, and the client's own
    /// has to do.</returns>
    /// <exception cref="RedisUnavailableException">It may or may not have run.</exception>
    internal RedisReply? Run(RedisScript script, string[] keys, object[] arguments)
    {
        if (!_possible || Environment.TickCount64 < _notBefore) return null;
        object[] command = ["EVALSHA", script.Hash, keys.Length, .. keys, .. arguments.Select(Plain)];
        EndPoint? server = _masters.GetValueOrDefault(keys[0]) ?? FindMaster();
        bool asking = false;
        for (int i = 0; server is not null && i < MostRedirects; i++)
        {
            if (Connect(server) is not { } connection) return null;
            RedisResult answer = Ask(connection, server, command, asking);
            string said = answer.Resp2Type == ResultType.Error ? $"{answer}" : "";
            if (said.Length == 0)
            {
                if (!asking) _masters[keys[0]] = server;
                return new RedisReply(answer);
            }

            string[] words = said.Split(' ');
            if (words[0] == "NOSCRIPT") (command[0], command[1]) = ("EVAL", script.Text);
            else if (words is ["MOVED" or "ASK", _, string place, ..])
            {
                asking = words[0] == "ASK";
                server = Place(place, server);
            }
            else
            {
                _masters.Remove(keys[0]);
                throw RedisUnavailableException.OfServer(said, null);
            }
        }

        _masters.Remove(keys[0]);
        return null;
    }

    private RedisResult Ask(DirectConnection connection, EndPoint server, object[] command, bool asking)
    {
        try
        {
            if (asking) connection.Call(["ASKING"]);
            return connection.Call(command);
        }
        catch (Exception e) when (e is IOException or SocketException or FormatException or ObjectDisposedException)
        {
            _open.Remove(server);
            connection.Dispose();
            _masters.Clear();
            throw new RedisUnavailableException($"{RedisClient.NameOf(server)}: {e.Message}", e);
        }
    }

    private DirectConnection? Connect(EndPoint server)
    {
        if (_open.TryGetValue(server, out DirectConnection? connection)) return connection;
        try
        {
            connection = DirectConnection.Open(server, options, timeout);
            _pause = 0;
            return _open[server] = connection;
        }
        catch (Exception e) when (e is IOException or SocketException or AuthenticationException)
        {
            // Where the client itself gets through, by a token or certificate that its configuration does not say, asking again
            // every few seconds would only fill the server's log.
            _masters.Clear();
            _pause = multiplexer.IsConnected ? Math.Clamp(_pause * 2, 1000, LongestPauseMilliseconds) : 0;
            _notBefore = Environment.TickCount64 + _pause;
            return null;
        }
    }

    private EndPoint? FindMaster()
    {
        foreach (EndPoint place in multiplexer.GetEndPoints())
            if (multiplexer.GetServer(place) is { IsConnected: true, IsReplica: false, ServerType: not ServerType.Sentinel }) return place;
        return null;
    }

    private static EndPoint Place(string text, EndPoint before)
    {
        int colon = text.LastIndexOf(':');
        string host = text[..colon];
        int port = int.Parse(text.AsSpan(colon + 1), CultureInfo.InvariantCulture);
        if (host.Length == 0) // The same host.
            return before is IPEndPoint ip ? new IPEndPoint(ip.Address, port) : new DnsEndPoint(((DnsEndPoint)before).Host, port);
        return IPAddress.TryParse(host, out IPAddress? address) ? new IPEndPoint(address, port) : new DnsEndPoint(host, port);
    }

    private object Plain(object argument)
        => argument is ServerChannel channel ? $"{(string?)options.ChannelPrefix}{channel.Name}" : argument;

    public void Dispose()
    {
        foreach (DirectConnection connection in _open.Values) connection.Dispose();
        _open.Clear();
    }
}
