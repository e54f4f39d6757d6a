using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Otto.Ipc.Uds.Peer.Fuzz;

// Throws inputs at a server in a process of its own, while a client that behaves must be answered all the time; in the end the server must
// hold nothing for clients that have gone, and must have foreseen everything.

internal static class FuzzVerb
{
    private const int Threads = 4, Staying = 64;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>[INPUTS [SEED]]: prints one line of what was done; exit code 1 where the
    /// server did anything wrong.</summary>
    public static int Run(string[] arguments)
    {
        int inputs = arguments.Length > 0 ? int.Parse(arguments[0], CultureInfo.InvariantCulture) : 100_000;
        int seed = arguments.Length > 1 ? int.Parse(arguments[1], CultureInfo.InvariantCulture) : Environment.TickCount;
        string directory = Directory.CreateTempSubdirectory("otto-fuzz-").FullName, path = Path.Combine(directory, "s");
        var staying = new ConcurrentQueue<Socket>();
        using Process server = StartServer(path);
        try
        {
            long start = Stopwatch.GetTimestamp(), answered = 0;
            int next = 0;
            string? failure = null;
            using var stop = new CancellationTokenSource();
            var control = new Thread(() => Interlocked.CompareExchange(ref failure, Behave(path, stop.Token), null));
            control.Start();
            int sockets = Sockets(server);
            Thread[] threads = [.. Enumerable.Range(0, Threads).Select(_ => new Thread(() =>
            {
                for (int i; failure is null && (i = Interlocked.Increment(ref next)) <= inputs;)
                    Interlocked.Add(ref answered, PlayOne(path, unchecked(seed + i), staying, ref failure));
            }))];
            foreach (Thread thread in threads) thread.Start();
            foreach (Thread thread in threads) thread.Join();
            stop.Cancel();
            control.Join();
            while (staying.TryDequeue(out Socket? socket)) socket.Dispose();
            failure ??= Settle(server, sockets, out string report) ? null : $"the server did not come to rest: {report}";
            long memory = long.Parse(
                File.ReadLines($"/proc/{server.Id}/status").First(l => l.StartsWith("VmRSS:", StringComparison.Ordinal)).Split(' ',
                    StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture);
            if (failure is null && memory > 400_000) failure = $"the server takes {memory:N0} kB after all clients have gone";
            server.StandardInput.Close();
            if (!server.WaitForExit(Patience) || server.ExitCode != 0) failure ??= "the server did not end well";
            Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"seed {seed}: {inputs:N0} inputs in "
                + $"{Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s, {answered:N0} bytes of answers, server at {memory / 1024:N0} "
                + $"MiB: {failure ?? "nothing wrong"}"));
            return failure is null ? 0 : 1;
        }
        finally
        {
            if (!server.HasExited) server.Kill();
            Directory.Delete(directory, recursive: true);
        }
    }

    private static Process StartServer(string path)
    {
        string[] options = ["value=4096", "total=2000000", "buffered=4000000", "unread=100000", "depth=1000", "connections=400", "keys=100",
            "messages=50", "slow=300"];
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardInput = true, RedirectStandardOutput = true };
        if (Path.GetFileName(start.FileName) == "dotnet") start.ArgumentList.Add(typeof(FuzzVerb).Assembly.Location);
        start.ArgumentList.Add("serve");
        start.ArgumentList.Add(path);
        foreach (string option in options) start.ArgumentList.Add(option);
        Process server = Process.Start(start)!;
        return server.StandardOutput.ReadLine() == "ready" ? server : throw new InvalidOperationException("the server did not start");
    }

    private static int PlayOne(string path, int seed, ConcurrentQueue<Socket> staying, ref string? failure)
    {
        FuzzInput input = new FuzzInputGenerator(new Random(seed)).Next();
        try
        {
            return FuzzClient.Play(path, input, socket =>
            {
                staying.Enqueue(socket);
                if (staying.Count > Staying && staying.TryDequeue(out Socket? oldest)) oldest.Dispose();
            });
        }
        catch (Exception e)
        {
            string beginning = Convert.ToHexString(input.Bytes.AsSpan(0, Math.Min(200, input.Bytes.Length)));
            Interlocked.CompareExchange(ref failure, $"input of seed {seed} ({input.Kind}, {input.Bytes.Length:N0} bytes): "
                + $"{(Environment.GetEnvironmentVariable("OTTO_FUZZ_TRACE") is null ? e.Message : e.ToString())} {beginning}", null);
            return 0;
        }
    }

    /// <summary>A client that does everything right, all the time.</summary>
    private static string? Behave(string path, CancellationToken stop)
    {
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream,
                ProtocolType.Unspecified) { ReceiveTimeout = (int)Patience.TotalMilliseconds };
            socket.Connect(new UnixDomainSocketEndPoint(path));
            byte[] buffer = new byte[100];
            for (int i = 0; !stop.IsCancellationRequested; i++)
            {
                string expected = string.Create(CultureInfo.InvariantCulture, $"OK\n{i}\n"), seen = "";
                socket.Send(Encoding.ASCII.GetBytes(
                    string.Create(CultureInfo.InvariantCulture, $"SET control-of-this-run {i}\nGET control-of-this-run\n")));
                while (seen.Length < expected.Length)
                {
                    int read = socket.Receive(buffer);
                    if (read == 0) return "the server closed a client that did nothing wrong";
                    seen += Encoding.ASCII.GetString(buffer, 0, read);
                }

                // The store may be full of what others set; then the old value stays.
                if (seen != expected && !seen.Contains("TOOBIG", StringComparison.Ordinal))
                    return $"a client that did nothing wrong was answered {seen}";
            }

            return null;
        }
        catch (SocketException e)
        {
            return $"a client that did nothing wrong: {e.Message}";
        }
    }

    /// <summary>Waits until the server holds nothing for anybody.</summary>
    private static bool Settle(Process server, int sockets, out string report)
    {
        long start = Stopwatch.GetTimestamp();
        do
        {
            server.StandardInput.WriteLine();
            report = $"{server.StandardOutput.ReadLine()} sockets={Sockets(server)}";
            if (report.StartsWith("connections=0 buffered=0 failures=0 ", StringComparison.Ordinal) && Sockets(server) <= sockets)
                return true;
            Thread.Sleep(20);
        }
        while (Stopwatch.GetElapsedTime(start) < Patience);
        return false;
    }

    // Only these: the runtime opens its assemblies when it needs them.
    private static int Sockets(Process server) =>
        new DirectoryInfo($"/proc/{server.Id}/fd").GetFileSystemInfos().Count(
            file => file.LinkTarget?.StartsWith("socket:", StringComparison.Ordinal) == true);
}
