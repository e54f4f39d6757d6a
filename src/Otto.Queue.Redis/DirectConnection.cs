using System.Buffers;
using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text;
using StackExchange.Redis;

namespace Otto.Queue.Redis;

// A connection whose calls block the thread that makes them, and need no other: no task, no thread of the pool, no timer. Handlers that
// block every thread of the pool cannot delay what is said over it. Speaks RESP2, as every server does that is not asked for more.

internal sealed class DirectConnection : IDisposable
{
    private const int Longest = 64 << 20;

    private readonly Stream _stream;
    private readonly ArrayBufferWriter<byte> _request = new(1024);
    private readonly byte[] _buffer = new byte[16 * 1024];
    private int _from, _to;

    private DirectConnection(Stream stream) => _stream = stream;

    /// <summary>Connects, and presents itself as the configuration says.</summary>
    /// <exception cref="IOException">It cannot be reached, or it refuses.</exception>
    internal static DirectConnection Open(EndPoint server, ConfigurationOptions options, TimeSpan timeout)
    {
        DirectConnection connection = new(Secure(Connect(server, timeout), server, options));
        try
        {
            if (options.Password is { Length: > 0 } password)
                connection.Must(options.User is { Length: > 0 } user ? ["AUTH", user, password] : ["AUTH", password]);
            if (options.DefaultDatabase is > 0 and int database) connection.Must(["SELECT", database]);
            // A server that refuses names is used all the same.
            connection.Call(["CLIENT", "SETNAME", $"{options.ClientName ?? "otto"}-leases"]);
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Asks a server whether it refuses these credentials.</summary>
    /// <returns>What it says against them; <see langword="null"/> if nothing, or if it says nothing at all.</returns>
    internal static string? FindRefusal(EndPoint server, ConfigurationOptions options, TimeSpan timeout)
    {
        try
        {
            using DirectConnection connection = Open(server, options, timeout);
            connection.Must(["PING"]);
            return null;
        }
        catch (Exception e) when (e is IOException or SocketException or AuthenticationException)
        {
            return e.Message.Split(' ')[0] is "WRONGPASS" or "NOAUTH" ? e.Message : null;
        }
    }

    /// <summary>Runs a command. An error of the server is an answer whose <see cref="RedisResult.Resp2Type"/>
    /// indicates it.</summary>
    /// <exception cref="IOException">The connection is lost, or there was no answer in time. It is of no further
    /// use.</exception>
    internal RedisResult Call(object[] arguments)
    {
        _request.ResetWrittenCount();
        Append($"*{arguments.Length}\r\n");
        foreach (object argument in arguments)
        {
            byte[] bytes = argument as byte[] ?? Encoding.UTF8.GetBytes(Convert.ToString(argument, CultureInfo.InvariantCulture) ?? "");
            Append($"${bytes.Length}\r\n");
            _request.Write(bytes);
            Append("\r\n");
        }

        _stream.Write(_request.WrittenSpan);
        _stream.Flush();
        return Read(depth: 0);
    }

    private void Append(string text) => Encoding.ASCII.GetBytes(text, _request);

    private void Must(object[] arguments)
    {
        RedisResult answer = Call(arguments);
        if (answer.Resp2Type == ResultType.Error) throw new IOException($"{answer}");
    }

    private RedisResult Read(int depth)
    {
        string line = ReadLine();
        if (line.Length == 0 || depth > 8) throw new IOException("the answer is not RESP");
        string rest = line[1..];
        switch (line[0])
        {
            case '+':
                return RedisResult.Create(rest, ResultType.SimpleString);
            case '-':
                return RedisResult.Create(rest, ResultType.Error);
            case ':':
                return RedisResult.Create(long.Parse(rest, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture),
                    ResultType.Integer);
            case '$':
                return Length(rest) is >= 0 and int bytes ? RedisResult.Create(ReadBytes(bytes), ResultType.BulkString)
                    : RedisResult.Create(RedisValue.Null, ResultType.BulkString);
            case '*':
                int count = Length(rest);
                if (count < 0) return RedisResult.Create(RedisValue.Null, ResultType.BulkString);
                List<RedisResult> items = [];
                for (int i = 0; i < count; i++) items.Add(Read(depth + 1));
                return RedisResult.Create([.. items]);
            default:
                throw new IOException("the answer is not RESP2");
        }
    }

    private static int Length(string text)
        => int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int length) && length <= Longest ? length
            : throw new IOException($"the answer has a length of {text}");

    private string ReadLine()
    {
        StringBuilder line = new();
        while (true)
        {
            byte next = ReadByte();
            if (next == '\n' && line.Length > 0 && line[^1] == '\r') return line.ToString(0, line.Length - 1);
            line.Append((char)next);
            if (line.Length > 4096) throw new IOException("the answer has a line that does not end");
        }
    }

    private byte[] ReadBytes(int count)
    {
        byte[] bytes = new byte[count];
        for (int i = 0; i < count; i++) bytes[i] = ReadByte();
        ReadByte();
        ReadByte();
        return bytes;
    }

    private byte ReadByte()
    {
        if (_from == _to)
        {
            (_from, _to) = (0, _stream.Read(_buffer));
            if (_to == 0) throw new IOException("the server closed the connection");
        }

        return _buffer[_from++];
    }

    private static Socket Connect(EndPoint server, TimeSpan timeout)
    {
        IEnumerable<EndPoint> places = server is DnsEndPoint name
            ? Dns.GetHostAddresses(name.Host).Select(EndPoint (a) => new IPEndPoint(a, name.Port)) : [server];
        SocketException? last = null;
        foreach (EndPoint place in places)
        {
            Socket socket = new(place.AddressFamily, SocketType.Stream,
                place.AddressFamily == AddressFamily.Unix ? ProtocolType.Unspecified : ProtocolType.Tcp);
            try
            {
                // Without waiting first: a host that says nothing would keep the thread for minutes.
                socket.Blocking = false;
                try
                {
                    socket.Connect(place);
                }
                catch (SocketException e) when (e.SocketErrorCode is SocketError.WouldBlock or SocketError.InProgress)
                {
                    if (!socket.Poll(timeout, SelectMode.SelectWrite)) throw new SocketException((int)SocketError.TimedOut);
                    int error = (int)socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error)!;
                    if (error != 0) throw new SocketException(error);
                }

                socket.Blocking = true;
                socket.SendTimeout = socket.ReceiveTimeout = (int)timeout.TotalMilliseconds;
                if (place.AddressFamily != AddressFamily.Unix) socket.NoDelay = true;
                return socket;
            }
            catch (SocketException e)
            {
                socket.Dispose();
                last = e;
            }
        }

        throw new IOException($"{RedisClient.NameOf(server)}: {last?.Message ?? "has no address"}", last);
    }

    private static Stream Secure(Socket socket, EndPoint server, ConfigurationOptions options)
    {
        NetworkStream plain = new(socket, ownsSocket: true);
        if (!options.Ssl) return plain;
        SslStream secure = new(plain);
        try
        {
            string host = options.SslHost ?? (server as DnsEndPoint)?.Host ?? (server as IPEndPoint)?.Address.ToString() ?? "";
            secure.AuthenticateAsClient(options.SslClientAuthenticationOptions?.Invoke(host)
                ?? new SslClientAuthenticationOptions { TargetHost = host });
            return secure;
        }
        catch
        {
            secure.Dispose();
            throw;
        }
    }

    public void Dispose() => _stream.Dispose();
}
