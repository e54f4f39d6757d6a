using System.Diagnostics;
using System.Net.Sockets;

namespace Otto.Ipc.Uds.Tests.Server;

// Very many clients, and very bad ones.

[NonParallelizable]
public sealed class ManyClientTests
{
    [Test]
    public void Ten_thousand_idle_connections_take_less_than_300_MB()
    {
        const int Count = 10_000;
        using var directory = new TestDirectory();
        using ServerProcess server = ServerProcess.Serve(directory.SocketPath);
        List<Socket> idle = [];
        try
        {
            for (int i = 0; i < Count; i++)
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                idle.Add(socket);
                socket.Connect(new UnixDomainSocketEndPoint(directory.SocketPath));
                // Each has been served, so that it is idle and not new.
                socket.Send("SET k 1\n"u8);
            }

            byte[] answer = new byte[3];
            foreach (Socket socket in idle) Assert.That(socket.Receive(answer), Is.EqualTo(3));
            long memory = server.Status("VmRSS");
            TestContext.Out.WriteLine($"{Count:N0} idle connections: {memory:N0} kB resident, {server.Status("VmHWM"):N0} kB at most");
            Assert.That(memory, Is.LessThan(300_000));
            idle[Count / 2].Send("GET k\n"u8);
            Assert.That(idle[Count / 2].Receive(answer), Is.EqualTo(2));
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.TooManyOpenSockets)
        {
            Assert.Ignore($"only {idle.Count:N0} descriptors may be opened here");
        }
        finally
        {
            foreach (Socket socket in idle) socket.Dispose();
        }
    }

    [Test]
    public void Thousands_of_malformed_inputs_do_no_harm()
    {
        // The long form is eng/fuzz.
        var start = new ProcessStartInfo(Environment.ProcessPath is { } path && Path.GetFileName(path) == "dotnet" ? path : "dotnet")
            { RedirectStandardOutput = true };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "Otto.Ipc.Uds.Peer.dll"));
        start.ArgumentList.Add("fuzz");
        start.ArgumentList.Add("4000");
        using Process fuzz = Process.Start(start)!;
        string report = fuzz.StandardOutput.ReadToEnd();
        fuzz.WaitForExit();
        TestContext.Out.Write(report);
        Assert.That(fuzz.ExitCode, Is.Zero, report);
    }
}
