using System.Diagnostics;
using System.Globalization;
using System.Net;
using Otto.Queue;
using Otto.Queue.Redis;
using StackExchange.Redis;

namespace Otto.Tools.Doctor;

// A Redis server: whether it answers, lets this user in, is new enough and near enough.

internal static class RedisCheck
{
    private const string Area = "redis";
    private const int ConnectMilliseconds = 3000, Pings = 5;
    private const double SlowMilliseconds = 20;

    // What a queue cannot work with. The rest costs something when the server restarts or fails over.
    private static readonly string[] s_problems = ["version", "replica", "cluster", "memory", "eviction"];

    public static async Task<IReadOnlyList<Finding>> RunAsync(string server, CancellationToken cancellationToken)
    {
        ConfigurationOptions options;
        try
        {
            options = ConfigurationOptions.Parse(server);
            if (options.EndPoints.Count == 0) throw new ArgumentException("it names no server");
        }
        catch (ArgumentException e)
        {
            return [Finding.Problem(Area, "address", $"the address cannot be read: {e.Message}",
                "write it as localhost:6379,password=...")];
        }

        options.AbortOnConnectFail = true;
        options.ConnectRetry = 1;
        options.ConnectTimeout = Math.Min(options.ConnectTimeout, ConnectMilliseconds);
        string place = string.Join(", ", options.EndPoints.Select(NameOf));
        try
        {
            await using ConnectionMultiplexer connection = await ConnectionMultiplexer.ConnectAsync(options).WaitAsync(cancellationToken);
            return [.. await CheckAsync(connection, place), .. await JudgeAsync(server, connection, cancellationToken)];
        }
        catch (Exception e) when (e is RedisException or TimeoutException or RedisUnavailableException)
        {
            return [Refused(place, e.Message)];
        }
    }

    private static async Task<List<Finding>> CheckAsync(ConnectionMultiplexer connection, string place)
    {
        List<Finding> findings = [];
        IDatabase database = connection.GetDatabase();
        var times = new List<double>();
        for (int i = 0; i <= Pings; i++)
        {
            long began = Stopwatch.GetTimestamp();
            await database.PingAsync();
            if (i > 0) times.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds); // The first one includes what is compiled for it.
        }

        double median = times.Order().ElementAt(Pings / 2);
        string time = string.Create(CultureInfo.InvariantCulture, $"{median:0.00} ms");
        findings.Add(median > SlowMilliseconds
            ? Finding.Note(Area, "latency", $"{place} answers in {time}",
                "a server nearer to the workers; more workers hide the time of each round trip")
            : Finding.Ok(Area, "latency", $"{place} answers in {time}"));
        return findings;
    }

    // The same as a queue finds when it starts.
    private static async Task<IEnumerable<Finding>> JudgeAsync(
        string configuration, ConnectionMultiplexer connection, CancellationToken cancellationToken)
    {
        IReadOnlyList<RouteWarning> warnings = await RedisQueues.CheckAsync(configuration, cancellationToken);
        IEnumerable<Finding> findings = warnings.Select(Judge);
        if (warnings.Any(static w => w.Code == "version")) return findings;
        return connection.GetEndPoints().Select(point => connection.GetServer(point)).Where(static s => s.IsConnected)
            .Select(static s => Finding.Ok(Area, "version", $"{NameOf(s.EndPoint)} has version {s.Version}")).Concat(findings);
    }

    private static Finding Judge(RouteWarning warning)
    {
        int advice = warning.Text.LastIndexOf("; ", StringComparison.Ordinal);
        (string text, string change) = advice < 0 ? (warning.Text, $"'{warning.Code}' in docs/redis.md has what to do")
            : (warning.Text[..advice], warning.Text[(advice + 2)..]);
        return s_problems.Contains(warning.Code) ? Finding.Problem(Area, warning.Code, text, change)
            : Finding.Note(Area, warning.Code, text, change);
    }

    // The client's advice is for programmers.
    private static string Short(string message)
    {
        int advice = message.IndexOf(" To allow this multiplexer", StringComparison.Ordinal);
        string text = advice < 0 ? message : message[..advice];
        const string Opening = "It was not possible to connect to the redis server(s). ";
        return text.StartsWith(Opening, StringComparison.Ordinal) ? text[Opening.Length..] : text;
    }

    private static string NameOf(EndPoint point) => point switch
    {
        DnsEndPoint name => string.Create(CultureInfo.InvariantCulture, $"{name.Host}:{name.Port}"),
        _ => point.ToString()!,
    };

    private static Finding Refused(string place, string message) =>
        message.Contains("NOAUTH", StringComparison.Ordinal) || message.Contains("WRONGPASS", StringComparison.Ordinal)
        || message.Contains("AuthenticationFailure", StringComparison.Ordinal)
            ? Finding.Problem(Area, "password", $"{place} answers, and refuses the password: {message}",
                "add password=... (and user=...) to the address")
            : Finding.Problem(Area, "reach", $"{place} does not answer: {Short(message)}",
                "start the server, or name another in --redis or OTTO_REDIS; docs/redis.md has its settings");
}
