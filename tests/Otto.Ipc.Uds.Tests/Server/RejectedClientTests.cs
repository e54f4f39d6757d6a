using System.Net.Sockets;
using System.Text;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Uds.Tests.Server;

// Each client that a server has no place for reads why, whenever it sends its command: a send that fails would end a program before that.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class RejectedClientTests
{
    private const int Clients = 200;

    private readonly TestDirectory _directory = new();

    [TearDown]
    public void CleanUp() => _directory.Dispose();

    [Test]
    public void All_of_200_clients_of_a_server_with_80_descriptors_are_answered_and_no_send_fails()
    {
        using ServerProcess server = ServerProcess.Serve(_directory.SocketPath);
        Assert.That(ExternalProgram.Bash("", $"prlimit --pid {server.Id} --nofile=80:80").Code, Is.Zero);
        for (int round = 0; round < 3; round++)
        {
            List<Socket> clients = [.. Enumerable.Range(0, Clients).Select(_ => Connect())];
            string[] answers = new string[Clients];
            // Each sends after all have connected: a server that closes at once is noticed.
            Task[] asking = [.. clients.Select((client, i) => Watchdog.RunOnThread(() =>
            {
                client.Send("PING\n"u8);
                answers[i] = ReadLine(client);
                client.Dispose();
            }))];
            Task.WaitAll(asking, Watchdog.Limit);
            Assert.That(asking.Select(static task => task.Exception?.InnerException?.Message), Is.All.Null);
            Assert.That(answers, Is.All.EqualTo("PONG").Or.StartsWith("ERROR: BUSY "));
            Assert.That(answers, Has.Some.EqualTo("PONG").And.Some.StartsWith("ERROR: BUSY "));
            Assert.That(Directory.GetFiles($"/proc/{server.Id}/fd"), Has.Length.LessThanOrEqualTo(80));
        }

        Watchdog.Until(() => Ask() == "PONG", "a client to be served");
    }

    [Test]
    public void A_rejected_client_that_sends_late_reads_the_reason_too()
    {
        using var server = new TestServer(new UdsServerOptions { MaxConnections = 1 });
        using WireClient first = server.Connect();
        Assert.That(first.Ask("PING"), Is.EqualTo("PONG"));
        using Socket late = Connect(server.SocketPath);
        Watchdog.Until(() => late.Available > 0, "the reason to arrive before the command is sent");
        Assert.That(late.Send("PING\n"u8), Is.EqualTo(5));
        Assert.That(ReadLine(late), Does.StartWith("ERROR: BUSY 1 "));
        Assert.That(late.Receive(new byte[1]), Is.Zero, "the end follows");
    }

    [Test]
    public void Rejected_clients_that_do_not_leave_keep_no_others_from_an_answer_and_no_descriptors()
    {
        using var server = new TestServer(new UdsServerOptions { MaxConnections = 1 });
        using WireClient first = server.Connect();
        Assert.That(first.Ask("PING"), Is.EqualTo("PONG"));
        List<Socket> silent = [.. Enumerable.Range(0, 150).Select(_ => Connect(server.SocketPath))];
        foreach (Socket client in silent)
        {
            Assert.That(ReadLine(client), Does.StartWith("ERROR: BUSY "));
            Assert.That(client.Receive(new byte[1]), Is.Zero);
        }

        first.Dispose();
        Watchdog.Until(() =>
        {
            using WireClient next = server.Connect();
            return next.Ask("PING") == "PONG";
        }, "the place of the first to be free");
        foreach (Socket client in silent) client.Dispose();
    }

    private Socket Connect() => Connect(_directory.SocketPath);

    private static Socket Connect(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = 60_000 };
        socket.Connect(new UnixDomainSocketEndPoint(path));
        return socket;
    }

    private string Ask()
    {
        using Socket client = Connect();
        client.Send("PING\n"u8);
        return ReadLine(client);
    }

    private static string ReadLine(Socket client)
    {
        var line = new StringBuilder();
        byte[] one = new byte[1];
        while (client.Receive(one) == 1 && one[0] != '\n') line.Append((char)one[0]);
        return line.ToString();
    }
}
