using System.Globalization;

namespace Otto.Ipc.Uds.Peer;

internal static class ServeVerb
{
    /// <summary>PATH [NAME=VALUE…]: serves until standard input ends. Names are those of a few options.</summary>
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
                "depth" => options with { MaxPipelineDepth = number },
                "buffered" => options with { MaxBufferedBytes = number },
                "slow" => options with { SlowSubscriberTimeout = TimeSpan.FromMilliseconds(number) },
                "total" => options with { MaxTotalBytes = number },
                "close" => options with { CloseAfterAnswer = number != 0 },
                _ => throw new ArgumentException($"no option '{parts[0]}'"),
            };
        }

        try
        {
            using UdsServer server = UdsServer.Start(options);
            Console.Out.WriteLine("ready");
            while (Console.In.Read() >= 0)
            {
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
