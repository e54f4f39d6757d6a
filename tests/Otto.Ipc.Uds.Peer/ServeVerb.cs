using System.Globalization;

namespace Otto.Ipc.Uds.Peer;

internal static class ServeVerb
{
    /// <summary>PATH [NAME=VALUE…]: serves until standard input ends. A line there asks for
    /// a report of what the server holds.</summary>
    public static int Run(string[] arguments)
    {
        var options = new UdsServerOptions { SocketPath = arguments[0] };
        foreach (string argument in arguments.Skip(1))
        {
            string[] parts = argument.Split('=');
            int number = int.Parse(parts[1], CultureInfo.InvariantCulture);
            options = parts[0] switch
            {
                "connections" => options with { MaxConnections = number },
                "value" => options with { MaxValueBytes = number },
                "total" => options with { MaxTotalBytes = number },
                "depth" => options with { MaxPipelineDepth = number },
                "unread" => options with { MaxUnreadBytes = number },
                "buffered" => options with { MaxBufferedBytes = number },
                "keys" => options with { MaxPendingKeys = number },
                "messages" => options with { MaxPendingMessages = number },
                "slow" => options with { SlowSubscriberTimeout = TimeSpan.FromMilliseconds(number) },
                _ => throw new ArgumentException($"no option '{parts[0]}'"),
            };
        }

        try
        {
            using UdsServer server = UdsServer.Start(options);
            Console.Out.WriteLine("ready");
            while (Console.In.ReadLine() is not null)
            {
                GC.Collect();
                Console.Out.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"connections={server.Connections} buffered={server.Loop.Budget.Used} failures={server.Loop.Failures} "
                    + $"evicted={server.Loop.Evicted} {server.Loop.LastFailure?.ToString().ReplaceLineEndings(" ")}"));
            }

            return 0;
        }
        catch (SocketInUseException e)
        {
            Console.Error.WriteLine(e.Message);
            return 4;
        }
    }
}
