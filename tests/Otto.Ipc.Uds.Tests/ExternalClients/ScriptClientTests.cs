using Otto.Ipc.Conformance;

namespace Otto.Ipc.Uds.Tests.ExternalClients;

// Clients that know only the protocol, written as people write them: bash with nc and socat, and a few lines of Python.

[Parallelizable]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class ScriptClientTests
{
    private TestServer _server = null!;

    [SetUp]
    public void Start() => _server = new TestServer();

    [TearDown]
    public void Stop() => _server.Dispose();

    [Test]
    public void Netcat_with_QUIT_ends_by_itself()
    {
        _server.Ask("SET k {\"a\":1}\n");
        Assert.That(Bash("printf 'GET k\\nQUIT\\n' | nc -U \"$OTTO_SOCKET\"").ToString(), Is.EqualTo("exit 0\n{\"a\":1}\nOK\n"));
        Assert.That(Bash("echo 'GET k' | nc -N -U \"$OTTO_SOCKET\"").ToString(), Is.EqualTo("exit 0\n{\"a\":1}\n"));
        Assert.That(Bash("printf 'GET k' | nc -N -U \"$OTTO_SOCKET\"").ToString(), Is.EqualTo("exit 0\n{\"a\":1}\n"));
    }

    [Test]
    public void Netcat_that_never_closes_ends_too_if_the_host_wants_so()
    {
        using var server = new TestServer(new UdsServerOptions { CloseAfterAnswer = true });
        Assert.That(ExternalProgram.Bash(server.SocketPath,
            "echo 'SET k 1' | nc -U \"$OTTO_SOCKET\"; echo 'GET k' | nc -U \"$OTTO_SOCKET\"")
            .ToString(), Is.EqualTo("exit 0\nOK\n1\n"));
    }

    [Test]
    public void Socat_asks_and_is_answered()
    {
        Assert.That(Bash("echo 'SET k 1' | socat - UNIX-CONNECT:\"$OTTO_SOCKET\"; printf 'GET k' | socat - UNIX-CONNECT:\"$OTTO_SOCKET\"")
            .ToString(), Is.EqualTo("exit 0\nOK\n1\n"));
    }

    [Test]
    public void A_shell_sets_what_jq_made_and_jq_reads_what_the_shell_got()
    {
        Outcome outcome = Bash("""
            ask() { printf '%s\nQUIT\n' "$1" | nc -U "$OTTO_SOCKET" | head -n 1; }
            ask "SET build.step $(jq -nc --arg v 'a "quoted" step' '$v')"
            ask 'GET build.step' | jq -r .
            ask 'LIST build.*' | jq length
            """);
        Assert.That(outcome.ToString(), Is.EqualTo("exit 0\nOK\na \"quoted\" step\n1\n"));
    }

    [Test]
    public void A_loop_in_bash_receives_what_is_published()
    {
        Outcome outcome = Bash("""
            coproc WATCH { nc -U "$OTTO_SOCKET"; }
            echo 'SUBSCRIBE *' >&${WATCH[1]}
            read -r ok <&${WATCH[0]}; echo "$ok"
            printf 'PUBLISH news "hello"\nSET k 1\nQUIT\n' | nc -U "$OTTO_SOCKET" > /dev/null
            for i in 1 2; do read -r line <&${WATCH[0]}; echo "$line"; done
            echo QUIT >&${WATCH[1]}
            wait
            """);
        Assert.That(outcome.ToString(), Is.EqualTo("exit 0\nOK\nEVENT 1 MESSAGE news \"hello\"\nEVENT 2 SET k 1\n"));
    }

    [Test]
    public void A_Python_client_that_sends_no_newline_is_served()
    {
        Outcome outcome = Python("""
            import json, os, socket

            def ask(command):
                s = socket.socket(socket.AF_UNIX)
                s.connect(os.environ["OTTO_SOCKET"])
                s.sendall(command.encode())
                answer = s.recv(4096).decode()
                s.close()
                return answer.strip()

            print(ask('SET k ' + json.dumps({"a": [1, 2]})), ask("GET k"), json.loads(ask("GET k"))["a"][1])
            """);
        Assert.That(outcome.ToString(), Is.EqualTo("exit 0\nOK {\"a\": [1, 2]} 2\n"));
    }

    [Test]
    public void A_Python_client_that_sends_a_byte_at_a_time_is_served()
    {
        // However long the client is kept from a core between two bytes.
        using var server = new TestServer(new UdsServerOptions { AnswerFirstCommandWithoutNewline = false });
        Outcome outcome = ExternalProgram.Python(server.SocketPath, """
            import os, socket, time
            s = socket.socket(socket.AF_UNIX)
            s.connect(os.environ["OTTO_SOCKET"])
            for byte in b'SET k "a byte at a time"\r\nGET k\nQUIT\n':
                s.send(bytes([byte]))
                time.sleep(0.005)
            print(s.makefile().read(), end="")
            """);
        Assert.That(outcome.ToString(), Is.EqualTo("exit 0\nOK\n\"a byte at a time\"\nOK\n"));
    }

    [Test]
    public void A_Python_client_that_pipelines_ten_thousand_commands_in_one_write_is_answered_in_order()
    {
        Outcome outcome = Python("""
            import os, socket
            s = socket.socket(socket.AF_UNIX)
            s.connect(os.environ["OTTO_SOCKET"])
            s.sendall(b"".join(b"SET k%d %d\nGET k%d\n" % (i, i, i) for i in range(5000)))
            lines = s.makefile("rb")
            for i in range(5000):
                assert lines.readline() == b"OK\n"
                assert lines.readline() == b"%d\n" % i
            s.sendall(b"QUIT\n")
            assert lines.read() == b"OK\n"
            print("done")
            """);
        Assert.That(outcome.ToString(), Is.EqualTo("exit 0\ndone\n"));
    }

    [Test]
    public void A_binary_client_in_Python_sets_gets_lists_and_subscribes()
    {
        Outcome outcome = Python("""
            import os, socket, struct

            class Client:
                def __init__(self):
                    self.s = socket.socket(socket.AF_UNIX)
                    self.s.connect(os.environ["OTTO_SOCKET"])
                    self.f = self.s.makefile("rb")
                def ask(self, command, payload=b""):
                    self.s.sendall(struct.pack("<IB", 1 + len(payload), command) + payload)
                    return self.read()
                def read(self):
                    length, status = struct.unpack("<IB", self.f.read(5))
                    return status, self.f.read(length - 1)

            def name(n): return struct.pack("<H", len(n)) + n

            a, b = Client(), Client()
            every = bytes(range(256))
            assert b.ask(5, b"*") == (0, b"")
            assert a.ask(1, name(b"k") + every) == (0, b"")
            assert a.ask(2, b"k") == (0, every)
            assert a.ask(2, b"none") == (2, b"")
            assert a.ask(4) == (0, name(b"k"))
            assert a.ask(6, name(b"news") + b"\0\1") == (0, b"")
            assert a.ask(3, b"k") == (0, b"")
            assert a.ask(7) == (0, b"")
            assert a.ask(99)[0] == 1
            assert b.read() == (0x10, struct.pack("<QB", 1, 1) + name(b"k") + every)
            assert b.read() == (0x10, struct.pack("<QB", 2, 3) + name(b"news") + b"\0\1")
            assert b.read() == (0x10, struct.pack("<QB", 3, 2) + name(b"k"))
            print("done")
            """);
        Assert.That(outcome.ToString(), Is.EqualTo("exit 0\ndone\n"));
    }

    [Test]
    public void A_Python_subscriber_receives_100_000_keys_that_another_client_sets()
    {
        Outcome outcome = Python("""
            import os, socket, threading
            N = 100_000
            def connect():
                s = socket.socket(socket.AF_UNIX)
                s.connect(os.environ["OTTO_SOCKET"])
                return s, s.makefile("rb")
            watcher, news = connect()
            watcher.sendall(b"SUBSCRIBE key.* SNAPSHOT\n")
            assert news.readline() == b"OK\n"
            def write():
                writer, answers = connect()
                for first in range(0, N, 1000):
                    writer.sendall(b"".join(b"SET key.%d %d\n" % (i, i) for i in range(first, first + 1000)))
                    for i in range(1000): assert answers.readline() == b"OK\n"
            thread = threading.Thread(target=write)
            thread.start()
            seen, last = set(), 0
            while len(seen) < N:
                event, number, kind, key, value = news.readline().split()
                assert (event, kind, key) == (b"EVENT", b"SET", b"key." + value), key
                assert int(number) > last
                last = int(number)
                seen.add(key)
            thread.join()
            print(len(seen))
            """);
        Assert.That(outcome.ToString(), Is.EqualTo("exit 0\n100000\n"));
    }

    private Outcome Bash(string script) => ExternalProgram.Bash(_server.SocketPath, script);

    private Outcome Python(string program) => ExternalProgram.Python(_server.SocketPath, program);
}
