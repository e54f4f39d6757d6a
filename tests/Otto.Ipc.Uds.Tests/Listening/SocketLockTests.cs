using System.Diagnostics;
using System.Net.Sockets;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Uds.Tests.Listening;

// Whose the path is: never stolen from the living, taken over from the dead at once, and never open to others, not even for a moment.

[Parallelizable]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class SocketLockTests
{
    private TestDirectory _directory = null!;

    [SetUp]
    public void Make() => _directory = new TestDirectory();

    [TearDown]
    public void Remove() => _directory.Dispose();

    [Test]
    public void A_second_server_gets_the_holder_of_the_socket_and_the_first_continues()
    {
        using ServerProcess first = ServerProcess.Serve(_directory.SocketPath);
        var thrown = Assert.Throws<SocketInUseException>(() => UdsServer.Start(Options()));
        Assert.That(thrown!.HolderPid, Is.EqualTo(first.Id));
        Assert.That(thrown.Message, Does.Contain(_directory.SocketPath).And.Contain($"process {first.Id} ("));
        using var second = new ServerProcess("serve", _directory.SocketPath);
        Assert.That(second.WaitForExit(), Is.EqualTo(4));
        Assert.That(second.Errors, Does.Contain($"{first.Id}"));
        using var client = new WireClient(_directory.SocketPath);
        Assert.That(client.Ask("PING"), Is.EqualTo("PONG"));
    }

    [Test]
    public void A_server_whose_socket_is_deleted_listens_there_again([Values] bool lockToo, [Values] bool directoryToo)
    {
        string path = Path.Combine(_directory.Path, "inner", "it.sock");
        using UdsServer server = UdsServer.Start(new UdsServerOptions { SocketPath = path });
        using var before = new WireClient(path);
        Assert.That(before.Ask("SET k \"1\""), Is.EqualTo("OK"));
        File.Delete(path);
        if (lockToo || directoryToo) File.Delete(path + ".lock");
        if (directoryToo) Directory.Delete(Path.GetDirectoryName(path)!);
        Watchdog.Until(() => File.Exists(path), "the server to listen again");
        using var after = new WireClient(path);
        Assert.That(after.Ask("GET k"), Is.EqualTo("\"1\""));
        Assert.That(before.Ask("PING"), Is.EqualTo("PONG"), "who was connected before still is");
        Assert.That(Assert.Throws<SocketInUseException>(() => UdsServer.Start(new UdsServerOptions { SocketPath = path }))!.HolderPid,
            Is.EqualTo(Environment.ProcessId));
        Assert.That(server.Completion.IsCompleted, Is.False);
        server.Dispose();
        Directory.Delete(Path.GetDirectoryName(path)!); // Not if something is left in it.
    }

    [Test]
    public void A_server_whose_path_another_one_took_meanwhile_ends_and_names_that()
    {
        using UdsServer first = UdsServer.Start(Options());
        UdsServer? second = null;
        // Both names at once, and a successor before the first one looks.
        Watchdog.Until(() =>
        {
            File.Delete(_directory.SocketPath);
            File.Delete(_directory.SocketPath + ".lock");
            try
            {
                second = UdsServer.Start(Options());
                return true;
            }
            catch (SocketInUseException)
            {
                return false; // The first one was quicker.
            }
        }, "a successor");
        using (second)
        {
            Assert.That(async () => await first.Completion.WaitAsync(Watchdog.Limit), Throws.TypeOf<SocketInUseException>());
            using var client = new WireClient(_directory.SocketPath);
            Assert.That(client.Ask("PING"), Is.EqualTo("PONG"));
        }
    }

    [Test]
    public void After_kill_9_a_new_server_takes_over_at_once()
    {
        for (int i = 0; i < 3; i++)
        {
            using ServerProcess killed = ServerProcess.Serve(_directory.SocketPath);
            killed.Kill();
            Assert.That(File.Exists(_directory.SocketPath), Is.True, "what it left is what the next one finds");
            using UdsServer next = UdsServer.Start(Options());
            using var client = new WireClient(_directory.SocketPath);
            Assert.That(client.Ask("PING"), Is.EqualTo("PONG"));
        }
    }

    [Test]
    public void Directories_are_made_for_this_user_alone_and_an_open_one_above_is_refused()
    {
        string made = Path.Combine(_directory.Path, "new"), socket = Path.Combine(made, "deep", "s");
        Outcome outcome = ExternalProgram.Bash(socket, $$"""
            umask 000
            dotnet {{AppContext.BaseDirectory}}/Otto.Ipc.Uds.Peer.dll serve $OTTO_SOCKET < /dev/null
            stat -c %a {{made}} {{made}}/deep
            chmod 777 {{made}}
            """);
        Assert.That(outcome.Output, Is.EqualTo("ready\n700\n700\n"), outcome.ToString());
        Assert.That(
            () => UdsServer.Start(new UdsServerOptions { SocketPath = socket }),
            Throws.InstanceOf<UnauthorizedAccessException>().With.Message.Contains("mode 777; others could replace"));
        Directory.Delete(made, recursive: true);
    }

    [Test]
    public void A_lock_file_that_is_no_plain_file_is_refused_in_words()
    {
        Assert.That(ExternalProgram.Bash("", $"mkfifo {_directory.SocketPath}.lock").Code, Is.Zero);
        Assert.That(() => UdsServer.Start(Options()),
            Throws.InstanceOf<UnauthorizedAccessException>().With.Message.Contains("is not a regular file"));
        File.Delete(_directory.SocketPath + ".lock");
    }

    [Test]
    public void A_server_that_ends_leaves_nothing()
    {
        UdsServer.Start(Options()).Dispose();
        Assert.That(Directory.GetFileSystemEntries(_directory.Path), Is.Empty);
    }

    [Test]
    public void Many_servers_that_start_at_once_leave_one()
    {
        for (int round = 0; round < 20; round++)
        {
            var servers = new UdsServer?[4];
            Parallel.For(0, servers.Length, i =>
            {
                try
                {
                    servers[i] = UdsServer.Start(Options());
                }
                catch (SocketInUseException)
                {
                }
            });
            Assert.That(servers.Count(s => s is not null), Is.EqualTo(1));
            using (var client = new WireClient(_directory.SocketPath)) Assert.That(client.Ask("PING"), Is.EqualTo("PONG"));
            foreach (UdsServer? server in servers) server?.Dispose();
        }
    }

    [Test]
    public void A_stranger_that_listens_there_is_left_alone()
    {
        using (var stranger = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            stranger.Bind(new UnixDomainSocketEndPoint(_directory.SocketPath));
            stranger.Listen();
            Assert.That(Assert.Throws<SocketInUseException>(() => UdsServer.Start(Options()))!.HolderPid,
                Is.EqualTo(Environment.ProcessId));
            Assert.That(File.Exists(_directory.SocketPath), Is.True);
        }

        File.Delete(_directory.SocketPath);
        File.Delete(_directory.SocketPath + ".lock");
    }

    [Test]
    public void A_file_that_is_no_socket_is_left_alone()
    {
        File.WriteAllText(_directory.SocketPath, "precious");
        Assert.That(() => UdsServer.Start(Options()), Throws.InstanceOf<IOException>().With.Message.Contains("not a socket"));
        Assert.That(File.ReadAllText(_directory.SocketPath), Is.EqualTo("precious"));
        File.Delete(_directory.SocketPath);
        File.CreateSymbolicLink(_directory.SocketPath, "/tmp/nowhere");
        Assert.That(() => UdsServer.Start(Options()), Throws.InstanceOf<IOException>().With.Message.Contains("not a socket"));
        File.Delete(_directory.SocketPath);
        File.Delete(_directory.SocketPath + ".lock");
    }

    [Test]
    public void A_lock_file_that_is_a_link_is_not_followed()
    {
        string target = Path.Combine(_directory.Path, "target");
        File.WriteAllText(target, "precious");
        File.CreateSymbolicLink(_directory.SocketPath + ".lock", target);
        Assert.That(() => UdsServer.Start(Options()), Throws.InstanceOf<UnauthorizedAccessException>());
        Assert.That(File.ReadAllText(target), Is.EqualTo("precious"));
        File.Delete(_directory.SocketPath + ".lock");
        File.Delete(target);
    }

    [Test]
    public void The_directory_is_0700_and_the_socket_0600_from_the_first_moment_on()
    {
        string deep = Path.Combine(_directory.Path, "a", "b"), socket = Path.Combine(deep, "s");
        bool stop = false;
        var seen = new HashSet<UnixFileMode>();
        Task looking = Watchdog.RunOnThread(() =>
        {
            while (!Volatile.Read(ref stop))
            {
                try
                {
                    seen.Add(File.GetUnixFileMode(socket));
                }
                catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
                {
                }
            }
        });
        // The umask is the process's: a shell's own would hide what the server does.
        Outcome outcome = ExternalProgram.Bash(socket, $"umask 0; for i in 1 2 3 4 5; do dotnet "
            + $"{AppContext.BaseDirectory}/Otto.Ipc.Uds.Peer.dll serve $OTTO_SOCKET < /dev/null; done");
        Assert.That(outcome.ToString(), Is.EqualTo("exit 0\nready\nready\nready\nready\nready\n"));
        for (int i = 0; i < 200; i++) UdsServer.Start(Options() with { SocketPath = socket }).Dispose();
        Volatile.Write(ref stop, true);
        Assert.That(looking.Wait(Watchdog.Limit), Is.True);
        Assert.That(seen, Is.EqualTo(new[] { UnixFileMode.UserRead | UnixFileMode.UserWrite }));
        foreach (string made in (string[])[deep, Path.GetDirectoryName(deep)!])
            Assert.That(File.GetUnixFileMode(made), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute),
                made);
        Directory.Delete(Path.Combine(_directory.Path, "a"), recursive: true);
    }

    [Test]
    public void A_directory_that_others_can_write_to_is_refused()
    {
        string open = Path.Combine(_directory.Path, "open");
        Directory.CreateDirectory(open);
        File.SetUnixFileMode(open, (UnixFileMode)0x1FF);
        Assert.That(() => UdsServer.Start(Options() with { SocketPath = Path.Combine(open, "s") }),
            Throws.InstanceOf<UnauthorizedAccessException>().With.Message.Contains("777"));
        Directory.Delete(open);
    }

    [Test]
    public void A_directory_in_one_that_others_can_write_to_is_refused_unless_it_is_sticky()
    {
        string open = Path.Combine(_directory.Path, "open"), socket = Path.Combine(open, "ours", "s");
        Directory.CreateDirectory(open);
        File.SetUnixFileMode(open, (UnixFileMode)0x1FF);
        Assert.That(() => UdsServer.Start(Options() with { SocketPath = socket }),
            Throws.InstanceOf<UnauthorizedAccessException>().With.Message.Contains("777").And.Message.Contains(open));
        File.SetUnixFileMode(open, (UnixFileMode)0x3FF);
        UdsServer.Start(Options() with { SocketPath = socket }).Dispose();
        Directory.Delete(open, recursive: true);
    }

    [Test]
    public void A_lock_file_that_is_a_FIFO_is_left_alone_and_called_what_it_is()
    {
        Assert.That(ExternalProgram.Bash("", $"mkfifo -m 600 {_directory.SocketPath}.lock").Code, Is.Zero);
        Assert.That(() => UdsServer.Start(Options()),
            Throws.InstanceOf<UnauthorizedAccessException>().With.Message.Contains("not a regular file").And.Message.Not.Contains("uid"));
        File.Delete(_directory.SocketPath + ".lock");
    }

    [Test]
    public void A_path_that_is_too_long_is_refused_with_the_numbers()
    {
        string path = Path.Combine(_directory.Path, new string('s', 108));
        Assert.That(() => UdsServer.Start(Options() with { SocketPath = path }),
            Throws.ArgumentException.With.Message.Contains($"{path.Length}").And.Message.Contains("107"));
    }

    [Test]
    public void Another_user_is_refused_by_the_file_and_by_the_server()
    {
        using UdsServer server = UdsServer.Start(Options());
        const string Ask = "setpriv --reuid=65534 --regid=65534 --clear-groups -- "
            + "bash -c \"printf 'GET k\\nQUIT\\n' | nc -U $OTTO_SOCKET\"";
        if (ExternalProgram.Bash("", "[ $(id -u) = 0 ]").Code != 0) Assert.Ignore("needs root, to become another user");
        Assert.That(ExternalProgram.Bash(_directory.SocketPath, Ask).Errors, Does.Contain("Permission denied"));
        // Where the owner opens the way by hand, the server still asks the kernel who it is.
        File.SetUnixFileMode(_directory.Path, (UnixFileMode)0x1ED);
        File.SetUnixFileMode(_directory.SocketPath, (UnixFileMode)0x1FF);
        Assert.That(ExternalProgram.Bash(_directory.SocketPath, Ask).Output,
            Is.EqualTo("ERROR: DENIED uid 65534 may not use the server of uid 0\n"));
        Assert.That(ExternalProgram.Bash(_directory.SocketPath, "printf 'GET k\\nQUIT\\n' | nc -U $OTTO_SOCKET").Output,
            Is.EqualTo("null\nOK\n"));
        Watchdog.Until(() => server.Connections == 0, "nobody is left");
    }

    [Test]
    public void Root_may_use_the_server_of_another_user()
    {
        if (ExternalProgram.Bash("", "[ $(id -u) = 0 ]").Code != 0) Assert.Ignore("needs root, to become another user");
        string theirs = Path.Combine(_directory.Path, "theirs"), socket = Path.Combine(theirs, "s");
        Outcome outcome = ExternalProgram.Bash(socket, $$"""
            chmod 755 {{_directory.Path}}
            install -d -o 65534 -g 65534 -m 700 {{theirs}}
            mkfifo {{theirs}}/stop
            HOME=/tmp setpriv --reuid=65534 --regid=65534 --clear-groups -- \
              dotnet {{AppContext.BaseDirectory}}/Otto.Ipc.Uds.Peer.dll serve $OTTO_SOCKET < <(cat {{theirs}}/stop) > {{theirs}}/said &
            server=$! # each process substitution below is a $! of its own
            until [ -s {{theirs}}/said ] || ! kill -0 $server; do read -rt 0.05 <> <(:) || :; done
            printf 'SET k 1\nGET k\nQUIT\n' | nc -U $OTTO_SOCKET
            : > {{theirs}}/stop
            wait
            """);
        if (outcome.Errors.Contains("libhostfxr", StringComparison.Ordinal)
            || outcome.Errors.Contains("ermission denied", StringComparison.Ordinal))
            Assert.Ignore("this machine lets nobody else run .NET: " + outcome.Errors);
        Assert.That(outcome.Output, Is.EqualTo("OK\n1\nOK\n"), outcome.ToString());
        Assert.That(File.ReadAllText(Path.Combine(theirs, "said")), Is.EqualTo("ready\n"));
        Directory.Delete(theirs, recursive: true);
    }

    [Test]
    public async Task A_client_sends_values_to_another_users_server_only_if_allowed()
    {
        if (ExternalProgram.Bash("", "[ $(id -u) = 0 ]").Code != 0) Assert.Ignore("needs root, to become another user");
        string theirs = Path.Combine(_directory.Path, "theirs"), socket = Path.Combine(theirs, "s");
        Assert.That(ExternalProgram.Bash("", $"chmod 755 {_directory.Path}; install -d -o 65534 -g 65534 -m 700 {theirs}").Code, Is.Zero);
        // It says how many bytes each of its clients sent before it closed, until one sent some.
        const string Listen = """
            import os, socket, sys
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            for path in sys.argv[1:]:
                s = socket.socket(socket.AF_UNIX); s.bind(path); s.listen()
                print("ready", flush=True)
                sent = 0
                while not sent:
                    c, _ = s.accept()
                    c.settimeout(30)
                    try: sent = len(c.recv(1000))
                    except OSError as e: sys.exit(e)
                    print(sent, flush=True)
                    c.close()
            """;
        string stream = Path.Combine(theirs, "frames.stream");
        var start = new ProcessStartInfo("python3", ["-c", Listen, socket, stream]) { RedirectStandardOutput = true };
        using Process listener = Process.Start(start)!;
        Assert.That(await Watchdog.WaitAsync(listener.StandardOutput.ReadLineAsync()), Is.EqualTo("ready"));
        var options = new UdsTransportOptions { SocketPath = socket, AllowOtherOwner = false };
        await using (var careful = new UdsClient(options))
            Assert.That(async () => await careful.SetAsync("secret", "1"u8.ToArray()),
                Throws.InstanceOf<UnauthorizedAccessException>().With.Message.Contains("65534").And.Message.Contains(
                    "OTTO_SOCKET_TRUST_OWNER"));
        Assert.That(await Watchdog.WaitAsync(listener.StandardOutput.ReadLineAsync()), Is.EqualTo("0"));
        await using (var trusting = new UdsClient(options with { AllowOtherOwner = true }))
            Assert.That(async () => await Watchdog.WaitAsync(trusting.SetAsync("known", "1"u8.ToArray())),
                Throws.InstanceOf<IOException>());
        Assert.That(await Watchdog.WaitAsync(listener.StandardOutput.ReadLineAsync()),
            Is.EqualTo($"{WireClient.Frame(1, WireClient.Name("known"), "1"u8.ToArray()).Length}"));

        // And so with streams.
        Assert.That(await Watchdog.WaitAsync(listener.StandardOutput.ReadLineAsync()), Is.EqualTo("ready"));
        await using (var careful = new UdsTransport(options))
        {
            using MessageSender sender = careful.OpenSender("frames");
            Assert.That(() => sender.TrySend("secret"u8), Throws.InstanceOf<IOException>().With.Message.Contains("another user"));
        }

        Assert.That(await Watchdog.WaitAsync(listener.StandardOutput.ReadLineAsync()), Is.EqualTo("0"));
        await using (var trusting = new UdsTransport(options with { AllowOtherOwner = true }))
        {
            using MessageSender sender = trusting.OpenSender("frames");
            string? said;
            // The careful one may have looked more than once before it was gone.
            while ((said = await Watchdog.WaitAsync(listener.StandardOutput.ReadLineAsync())) == "0")
            {
            }

            Assert.That(int.Parse(said!, System.Globalization.CultureInfo.InvariantCulture), Is.Positive);
        }

        Assert.That(listener.WaitForExit(Watchdog.Limit), Is.True);
        Directory.Delete(theirs, recursive: true);
    }

    [Test]
    public void The_server_continues_when_descriptors_run_out()
    {
        using ServerProcess server = ServerProcess.Serve(_directory.SocketPath);
        Assert.That(ExternalProgram.Bash("", $"prlimit --pid {server.Id} --nofile=200:200").Code, Is.Zero);
        List<WireClient> clients = [];
        int busy = 0;
        for (int i = 0; i < 300; i++)
        {
            var client = new WireClient(_directory.SocketPath);
            clients.Add(client);
            client.Send("PING\n");
            string? answer = client.ReadLine();
            if (answer != "PONG")
            {
                Assert.That(answer, Does.StartWith("ERROR: BUSY "));
                busy++;
            }
        }

        Assert.That(busy, Is.InRange(100, 299));
        foreach (WireClient client in clients) client.Dispose();
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            using var client = new WireClient(_directory.SocketPath);
            if (client.Ask("PING") == "PONG") break;
            Assert.That(Stopwatch.GetElapsedTime(start), Is.LessThan(Watchdog.Limit), "never served again");
        }
    }

    private UdsServerOptions Options() => new() { SocketPath = _directory.SocketPath };
}
