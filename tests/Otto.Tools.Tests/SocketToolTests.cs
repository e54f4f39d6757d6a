using System.Diagnostics;
using System.Net.Sockets;
using System.Text.Json;

namespace Otto.Tools.Tests;

// The server and what talks to it, as shell scripts use them.

internal sealed class SocketToolTests : ToolTest
{
    private Process? _server;

    private string Socket => Path.Combine(Folder, "s", "otto.sock");

    [TearDown]
    public void StopServer()
    {
        if (_server is not null && !_server.HasExited)
        {
            Run("kill", [$"{_server.Id}"]);
            Assert.That(_server.WaitForExit(TimeSpan.FromSeconds(30)), Is.True);
            Assert.That(_server.ExitCode, Is.Zero);
            Assert.That(Directory.GetFileSystemEntries(Path.GetDirectoryName(Socket)!), Is.Empty, "a server that ends leaves nothing");
        }

        _server?.Dispose();
        _server = null;
    }

    // What systemd does for a .socket unit: it listens, and starts the service with the socket as descriptor 3.
    private const string Activate = """
        import os, socket, sys
        kind, path, count = sys.argv[1], sys.argv[2], sys.argv[3]
        if kind == 'file':
            os.dup2(os.open('/dev/null', os.O_RDONLY), 3)
        else:
            s = socket.socket(socket.AF_UNIX if kind == 'unix' else socket.AF_INET, socket.SOCK_STREAM)
            s.bind(path if kind == 'unix' else ('127.0.0.1', 0))
            s.listen(16)
            if s.fileno() != 3:
                os.dup2(s.fileno(), 3)
        os.set_inheritable(3, True)
        os.environ.update(LISTEN_FDS=count, LISTEN_PID=str(os.getpid()))
        os.execvp(sys.argv[4], sys.argv[4:])

        """;

    [Test]
    public void Serve_takes_the_socket_that_systemd_passes_and_leaves_its_path()
    {
        File.WriteAllText(Path.Combine(Folder, "activate.py"), Activate);
        Result result = Script($$"""
            python3 "{{Folder}}/activate.py" unix "{{Folder}}/passed.sock" 1 otto serve > "{{Folder}}/ready" & server=$!
            until [ -s "{{Folder}}/ready" ]; do kill -0 $server || exit 9; done
            export OTTO_SOCKET="{{Folder}}/passed.sock"
            otto set k v && otto get k
            kill $server; wait $server; echo "ended $?"
            test -S "$OTTO_SOCKET" && echo "still there"
            """);
        Assert.That(File.ReadAllText(Path.Combine(Folder, "ready")), Is.EqualTo($"{Folder}/passed.sock\n"));
        Assert.That(result.Output, Is.EqualTo("v\nended 0\nstill there\n"), result.ToString());
    }

    [TestCase("unix", "2", "LISTEN_FDS is '2'")]
    [TestCase("inet", "1", "not a Unix stream socket that listens")]
    [TestCase("file", "1", "not a Unix stream socket that listens")]
    public void Serve_refuses_what_is_not_one_listening_socket(string kind, string count, string says)
    {
        File.WriteAllText(Path.Combine(Folder, "activate.py"), Activate);
        Result result = Script($"""python3 "{Folder}/activate.py" {kind} "{Folder}/passed.sock" {count} otto serve""");
        Assert.That((result.Code, result.Output), Is.EqualTo((2, "")), result.ToString());
        Assert.That(result.Errors, Does.StartWith("otto: ").And.Contain(says));
    }

    [Test]
    public void Serve_ignores_a_socket_that_was_passed_to_its_parent_and_refuses_two_places()
    {
        File.WriteAllText(Path.Combine(Folder, "activate.py"), Activate);
        Result result = Script($$"""
            cd "{{Folder}}"
            python3 activate.py unix "$PWD/passed.sock" 1 sh -c 'otto serve > ready & echo $! > pid; wait' &
            until [ -s "{{Folder}}/ready" ]; do kill -0 $! || exit 9; done
            cat "{{Folder}}/ready"; kill $(cat "{{Folder}}/pid"); wait
            rm "{{Folder}}/passed.sock"
            python3 "{{Folder}}/activate.py" unix "{{Folder}}/passed.sock" 1 otto serve --socket "$OTTO_SOCKET"; echo "code $?"
            """);
        Assert.That(result.Output, Is.EqualTo($"{Socket}\ncode 2\n"), result.ToString());
        Assert.That(result.Errors, Does.Contain("leave one of them out"));
    }

    [Test]
    public void A_script_sets_gets_lists_and_deletes()
    {
        Serve();
        Result result = Script("""
            set -e
            otto set build.step compile
            otto get build.step
            otto set build.of --json-value '{"n": [1, 2]}'
            otto get build.of | jq -c .n
            printf 'two\nlines\n' | otto set build.text
            otto get build.text
            otto list 'build.*'
            otto list --json | jq -r .key | wc -l
            otto get build.step --json
            otto del build.step
            otto get build.step --default none
            otto get build.step --default none --json
            printf 'GET build.of\nQUIT\n' | nc -U "$OTTO_SOCKET"
            """);
        Assert.That(result.ToString(), Is.EqualTo("""
            exit 0
            compile
            [1,2]
            two
            lines
            build.of
            build.step
            build.text
            3
            {"key":"build.step","value":"compile"}
            none
            {"key":"build.step","value":"none"}
            {"n": [1, 2]}
            OK


            """));
    }

    [Test]
    public void Serve_prints_its_address_and_others_find_it_by_its_variable()
    {
        Assert.That(Serve(), Is.EqualTo(Socket));
        Assert.That(Run("otto", ["get", "k", "--socket", Socket]).Code, Is.EqualTo(1));
        Result others = Script("otto set k 1; env -u OTTO_SOCKET XDG_RUNTIME_DIR=/nowhere otto get k; echo $?; "
            + "otto get k --socket $OTTO_SOCKET");
        Assert.That(others.Output, Is.EqualTo("3\n1\n"));
    }

    [Test]
    public void Serve_reports_a_rejected_client_on_standard_error()
    {
        Serve("--max-connections", "1");
        using (var first = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            first.Connect(new UnixDomainSocketEndPoint(Socket));
            first.Send("PING\n"u8);
            Assert.That(first.Receive(new byte[16]), Is.EqualTo("PONG\n".Length));
            Assert.That(Run("otto", ["get", "k", "--socket", Socket]).Code, Is.Not.Zero);
        }

        Task<string?> line = _server!.StandardError.ReadLineAsync();
        Assert.That(line.Wait(TimeSpan.FromSeconds(30)), Is.True);
        Assert.That(line.Result, Is.EqualTo("otto: A client was rejected: BUSY 1 clients are connected, the most there may be"));
    }

    [Test]
    public void A_second_server_ends_with_4_and_names_the_first_which_continues()
    {
        Serve();
        Result second = Run("otto", ["serve", "--socket", Socket]);
        Assert.That(second.Code, Is.EqualTo(4), second.ToString());
        Assert.That(second.Errors, Does.Contain($"process {_server!.Id} (otto)").And.Contain(Socket));
        Assert.That(Script("otto set k v; otto get k").ToString(), Is.EqualTo("exit 0\nv\n\n"));
    }

    [Test]
    public void After_kill_9_a_new_server_takes_over()
    {
        Serve();
        KillServer();
        Serve();
        Assert.That(Script("otto set k v; otto get k").ToString(), Is.EqualTo("exit 0\nv\n\n"));
    }

    [TestCase("otto get k", 3)]
    [TestCase("otto set k v", 3)]
    [TestCase("otto list", 3)]
    [TestCase("otto pub t m", 3)]
    [TestCase("otto sub t", 3)]
    [TestCase("otto watch", 3)]
    [TestCase("otto-progress 1 2", 0)]
    [TestCase("OTTO_TASK_NAME=t otto-progress 1 2", 0)]
    [TestCase("otto progress 1 2 --task t", 0)]
    [TestCase("otto-progress half 2", 2)]
    [TestCase("otto-progress", 2)]
    public void Without_a_server_the_exit_code_shows_it_and_progress_is_silent(string command, int code)
    {
        Result result = Script(command);
        Assert.That(result.Code, Is.EqualTo(code), result.ToString());
        Assert.That(result.Output, Is.Empty);
        Assert.That(result.Errors,
            code == 0 ? Is.Empty : code == 3 ? Does.Match("^otto: no server at .*otto serve") : Does.StartWith("otto-progress: "));
    }

    [TestCase("otto get none", 1)]
    [TestCase("otto get none --default x", 0)]
    [TestCase("otto get 'two words'", 2)]
    [TestCase("otto get", 2)]
    [TestCase("otto get k --bogus", 2)]
    [TestCase("otto get k --timeout soon", 2)]
    [TestCase("otto set k", 0)]
    [TestCase("otto set k -5", 0)]
    [TestCase("otto set k -- --dashes", 0)]
    [TestCase("otto set k a b", 2)]
    [TestCase("otto set k v --json-value 1", 2)]
    [TestCase("otto set k --json-value '{'", 2)]
    [TestCase("otto set 'a b' v", 2)]
    [TestCase("head -c 2000000 /dev/zero | tr '\\0' x | otto set k", 5)]
    [TestCase("otto del none", 1)]
    [TestCase("otto list 'a b'", 2)]
    [TestCase("otto watch --timeout 0.05", 124)]
    [TestCase("otto watch --count none", 2)]
    [TestCase("otto sub t --timeout 0.05", 124)]
    [TestCase("otto pub t m", 0)]
    [TestCase("otto-progress 1 2", 2)]
    [TestCase("otto-progress 1 2 --task a/b", 2)]
    [TestCase("otto-progress 1 2 --task t", 0)]
    [TestCase("otto-progress 1 - --task t", 0)]
    [TestCase("OTTO_TASK=t otto-progress 1 2 some words of it", 0)]
    [TestCase("otto serve --max-value 0", 2)]
    [TestCase("otto serve --max-value many", 2)]
    [TestCase("otto serve --socket /nowhere/at/all/$(printf 's%.0s' {1..100})", 2)]
    [TestCase("otto serve --socket $OTTO_MMAP_DIR/file", 1)]
    [TestCase("kill -STOP $SERVER; otto get k --timeout 0.1; code=$?; kill -CONT $SERVER; exit $code", 124)]
    [TestCase("kill -STOP $SERVER; otto-progress 1 2 --task t --timeout 0.1; code=$?; kill -CONT $SERVER; exit $code", 124)]
    public void The_exit_code_shows_what_happened(string command, int code)
    {
        File.WriteAllText(Path.Combine(Folder, "file"), "no socket");
        Serve();
        Result result = Script(command);
        File.Delete(Path.Combine(Folder, "file"));
        File.Delete(Path.Combine(Folder, "file.lock"));
        Assert.That(result.Code, Is.EqualTo(code), result.ToString());
        Assert.That(result.Errors, code == 0 ? Is.Empty : Does.Match("^otto(-progress)?: "));
    }

    [Test]
    public void Watch_prints_a_line_a_change()
    {
        Serve();
        Script("otto set a.one 1");
        using Process watch = Start("otto", "watch", "a.*", "--snapshot", "--count", "3", "--socket", Socket);
        Assert.That(Line(watch), Is.EqualTo("SET a.one \"1\""));
        Script("otto set b.two 2; otto set a.two --json-value '{\"x\": 1}'; otto del a.one");
        Assert.That(Line(watch), Is.EqualTo("SET a.two {\"x\": 1}"));
        Assert.That(Line(watch), Is.EqualTo("DELETE a.one"));
        Assert.That(watch.WaitForExit(TimeSpan.FromSeconds(30)) && watch.ExitCode == 0, Is.True);
    }

    [Test]
    public void Sub_prints_what_pub_says()
    {
        Serve();
        using Process listener = Start("otto", "sub", "news*", "--json", "--count", "2", "--socket", Socket);
        // It is subscribed once a message reaches it.
        string? first = null;
        Task<string?> line = listener.StandardOutput.ReadLineAsync();
        for (int i = 0; first is null && i < 200; i++)
        {
            Script("otto pub news 'hello there'");
            if (line.Wait(50)) first = line.Result;
        }

        Assert.That(first, Is.EqualTo("{\"topic\":\"news\",\"message\":\"hello there\",\"lost\":0}"));
        Script("otto pub news.more --json-value '[1]'");
        Assert.That(listener.StandardOutput.ReadToEnd(), Does.StartWith("{\"topic\":\"news"));
        Assert.That(listener.WaitForExit(TimeSpan.FromSeconds(30)) && listener.ExitCode == 0, Is.True);
    }

    [Test]
    public void A_listener_whose_reader_left_ends_without_words()
    {
        Serve();
        Result result = Script("otto set k v; otto watch --snapshot | head -n 1; echo ${PIPESTATUS[*]}");
        Assert.That(result.ToString(), Is.EqualTo("exit 0\nSET k \"v\"\n0 0\n\n"));
    }

    [Test]
    public void The_last_update_reaches_a_server_that_is_full_or_starts_again()
    {
        Result result = Bash($$"""
            export OTTO_SOCKET={{Folder}}/p.sock OTTO_TASK_NAME=t
            otto serve --max-connections 1 > {{Folder}}/ready & server=$!
            until [[ -s {{Folder}}/ready ]]; do kill -0 $server || exit 90; done
            coproc held { exec nc -U $OTTO_SOCKET; }
            echo PING >&${held[1]}; read -r answer <&${held[0]}
            otto-progress 2 2 done --timeout 60 & tool=$!
            { . $(dirname "$(command -v otto)")/../../clients/bash/otto.sh; OTTO_TASK_NAME=sh otto_progress 3 3 done; } & script=$!
            # While these are turned away, so are those. The script gives up after two seconds of that.
            for i in 1 2; do otto get t.progress 2> {{Folder}}/busy; [[ $? == 5 ]] || exit 92; done
            kill $held_PID
            wait $tool; echo "tool $?"; wait $script; echo "script $?"
            otto get t.progress; otto get sh.progress
            # A server that takes three seconds to start again.
            kill -9 $server; wait $server 2> /dev/null
            otto-progress 5 5 --timeout 60 & tool=$!
            clients=$(dirname "$(command -v otto)")/../../clients
            { . $clients/bash/otto.sh; OTTO_TIMEOUT=60 OTTO_TASK_NAME=sh otto_progress 4 4; } & script=$!
            export PYTHONPATH=$clients/python
            python3 -c 'import otto; otto.OttoClient(task="py", timeout=60).progress(6, 6)' & python=$!
            read -rt 3 <> <(:)
            otto serve > {{Folder}}/again & server=$!
            wait $tool; echo "tool $?"; wait $script; echo "script $?"; wait $python; echo "python $?"
            for task in t sh py; do otto get $task.progress | jq .current; done
            kill $server; wait $server
            """);
        Assert.That(
            result.Output,
            Is.EqualTo("tool 0\nscript 0\n{\"current\":2,\"total\":2,\"text\":\"done\"}\n"
                + "{\"current\":3,\"total\":3,\"text\":\"done\"}\ntool 0\nscript 0\npython 0\n5\n4\n6\n"),
            result.ToString());
    }

    [Test]
    public void A_last_update_that_no_server_took_is_told_by_the_exit_code()
    {
        Result result = Bash($$"""
            clients=$(dirname "$(command -v otto)")/../../clients
            export OTTO_SOCKET={{Folder}}/p.sock OTTO_TASK_NAME=t OTTO_TIMEOUT=0.3 PYTHONPATH=$clients/python
            . $clients/bash/otto.sh
            otto-progress 5 5; otto_progress 5 5; python3 -c 'import otto; otto.OttoClient().progress(5, 5)'; echo "none $?"
            python3 -c 'import os, socket; socket.socket(socket.AF_UNIX).bind(os.environ["OTTO_SOCKET"])'
            otto-progress 4 5; echo "$?"
            otto-progress 5 5 --timeout 0.3; echo "$?"
            otto_progress 5 5; echo "$?"
            python3 -c 'import otto
            try: otto.OttoClient(timeout=0.3).progress(5, 5)
            except otto.ServerMissingError: print("missing")'
            """);
        Assert.That(result.Output, Is.EqualTo("none 0\n0\n3\n3\nmissing\n"), result.ToString());
        Assert.That(result.Errors, Does.Contain("otto-progress: the last update was lost: no server answered within 0.3 s; "));
    }

    [Test]
    public void A_server_that_takes_no_connections_is_busy_and_not_missing()
    {
        Result result = Bash($$"""
            export OTTO_SOCKET={{Folder}}/full.sock PYTHONPATH=$(dirname "$(command -v otto)")/../../clients/python
            python3 -c '
            import os, socket, sys, time
            s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(0)
            waiting = []
            while True:
                c = socket.socket(socket.AF_UNIX); c.setblocking(False)
                try: c.connect(sys.argv[1])
                except BlockingIOError: break
                waiting.append(c)
            print("full", flush=True); time.sleep(60)' $OTTO_SOCKET > {{Folder}}/ready & server=$!
            until [[ -s {{Folder}}/ready ]]; do kill -0 $server || exit 90; done
            otto get k --timeout 0.3; echo $?
            python3 -c '
            import otto
            try: otto.OttoClient(timeout=0.3).get("k")
            except TimeoutError: print("timed out")
            try: otto.OttoClient(timeout=0.3).subscribe("k")
            except TimeoutError: print("timed out")'
            kill $server
            """);
        Assert.That(result.Output, Is.EqualTo("124\ntimed out\ntimed out\n"), result.ToString());
    }

    [Test]
    public void A_rejected_command_reports_the_reason()
    {
        Result result = Bash($$"""
            export OTTO_SOCKET={{Folder}}/p.sock PYTHONPATH=$(dirname "$(command -v otto)")/../../clients/python
            otto serve --max-connections 1 > {{Folder}}/ready & server=$!
            until [[ -s {{Folder}}/ready ]]; do kill -0 $server || exit 90; done
            coproc held { exec nc -U $OTTO_SOCKET; }
            echo PING >&${held[1]}; read -r answer <&${held[0]}
            for i in 1 2 3 4 5; do
              otto watch 2>> {{Folder}}/watch; echo "watch $?"
              otto get k 2>> {{Folder}}/watch; echo "get $?"
            done | sort | uniq -c | tr -s ' '
            python3 -c '
            import otto
            for i in range(20):
                try: otto.OttoClient().subscribe("k")
                except otto.RefusedError as e: assert e.code == "BUSY", e
                try: otto.OttoClient().set("k", 1)
                except otto.RefusedError as e: assert e.code == "BUSY", e
            print("always told")'
            kill $held_PID $server; wait $server
            """);
        Assert.That(result.Output, Is.EqualTo(" 5 get 5\n 5 watch 5\nalways told\n"), result.ToString());
    }

    [Test]
    public void Progress_reaches_every_watcher_and_the_last_update_is_never_lost()
    {
        Serve();
        Result result = Script("""
            export OTTO_TASK_NAME=build
            for i in 1 2 3 4 5; do otto-progress $i 5 "step $i"; done
            otto get build.progress
            otto progress 5 5 done --task other
            otto get other.progress | jq .current
            """);
        Assert.That(result.ToString(), Is.EqualTo("exit 0\n{\"current\":5,\"total\":5,\"text\":\"step 5\"}\n5\n\n"));
        using Process watch = Start("otto", "watch", "last.progress", "--json", "--snapshot", "--socket", Socket);
        Script("until [ \"$(otto get seen --default no)\" = yes ]; do otto set seen yes; done; for i in 1 2 3 4 5 6 7 8; do "
            + "otto-progress $i 8 --task last & done; wait; otto-progress 8 8 --task last");
        double current = 0;
        while (current < 8)
        {
            using var json = JsonDocument.Parse(Line(watch)!);
            current = json.RootElement.GetProperty("value").GetProperty("current").GetDouble();
        }

        watch.Kill();
    }

    [Test]
    public void A_final_update_waits_for_a_busy_server()
    {
        Serve("--max-connections", "1");
        Result result = Script("""
            exec 9> >(nc -U "$OTTO_SOCKET" > /dev/null)
            until otto get k 2>&1 | grep -q 'clients are connected'; do :; done
            otto-progress 2 2 --task t & pid=$!
            exec 9>&-
            kill $(pgrep -P $$ -x nc) 2>/dev/null || pkill -P $$ nc || :
            wait $pid; echo $?
            otto get t.progress | jq .current
            """);
        Assert.That(result.Output, Is.EqualTo("0\n2\n"), result.ToString());
    }

    [Test]
    public void A_final_update_waits_while_another_has_the_only_connection()
    {
        Serve("--max-connections", "1");
        // The place is taken until somebody was turned away, twice.
        Result result = Script("""
            mkfifo "$OTTO_MMAP_DIR/hold"
            nc -U "$OTTO_SOCKET" < "$OTTO_MMAP_DIR/hold" > /dev/null & nc=$!
            exec 9> "$OTTO_MMAP_DIR/hold"
            until otto get k 2>&1 | grep -q 'clients are connected'; do :; done
            otto-progress 1 2 --task t; echo $?
            otto-progress 2 2 done --task t --timeout 60 & pid=$!
            otto get k; echo $?
            otto-progress 2 2 --task late --timeout 2; echo $?
            kill $nc; exec 9>&-
            wait $pid; echo $?
            until otto get t.progress; do :; done
            rm "$OTTO_MMAP_DIR/hold"
            """);
        Assert.That(result.Output, Is.EqualTo("5\n5\n5\n0\n{\"current\":2,\"total\":2,\"text\":\"done\"}\n"), result.ToString());
    }

    [Test]
    public void A_final_update_waits_for_a_server_that_is_started_again()
    {
        string seen = "";
        // Again where the machine took more than two seconds to start a server: then none was expected any more.
        for (int attempt = 0; attempt < 3 && seen.Length == 0; attempt++)
        {
            Serve();
            KillServer();
            // The socket lies there, and nobody serves: the usual update is silent at once, the final one waits.
            Assert.That(Script("otto-progress 1 2 --task t").ToString(), Is.EqualTo("exit 0\n\n"));
            using Process last = Start("otto-progress", "2", "2", "--task", "t", "--socket", Socket);
            Serve();
            Assert.That(last.WaitForExit(TimeSpan.FromSeconds(30)) && last.ExitCode == 0, Is.True);
            seen = Script("otto get t.progress").Output;
            KillServer();
        }

        Assert.That(seen, Is.EqualTo("{\"current\":2,\"total\":2}\n"));
    }

    [Test]
    public void A_final_update_does_not_wait_without_a_socket_and_only_briefly_for_a_stale_one()
    {
        TimeSpan without = TimeSpan.MaxValue;
        long start;
        for (int attempt = 0; attempt < 3; attempt++)
        {
            start = Stopwatch.GetTimestamp();
            Assert.That(Script("otto-progress 2 2 --task t").ToString(), Is.EqualTo("exit 0\n\n"));
            without = TimeSpan.FromTicks(Math.Min(without.Ticks, Stopwatch.GetElapsedTime(start).Ticks));
        }

        Serve();
        KillServer();
        start = Stopwatch.GetTimestamp();
        Assert.That(Script("otto-progress 2 2 --task t --timeout 4").ToString(), Does.StartWith("exit 3\n"));
        TimeSpan with = Stopwatch.GetElapsedTime(start);
        Directory.Delete(Path.GetDirectoryName(Socket)!, recursive: true);
        Assert.That(with, Is.GreaterThan(TimeSpan.FromSeconds(2)));
        Assert.That(without, Is.LessThan(with));
    }

    [Test]
    public void A_server_with_more_callers_than_it_takes_in_is_busy_and_not_missing()
    {
        using Process full = Start("python3", "-c", """
            import os, socket, sys
            os.makedirs(os.path.dirname(sys.argv[1]), exist_ok=True)
            s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(1)
            callers = []
            try:
                while True:
                    callers.append(socket.socket(socket.AF_UNIX)); callers[-1].setblocking(False); callers[-1].connect(sys.argv[1])
            except BlockingIOError:
                print("full", flush=True)
            sys.stdin.read()
            """, Socket);
        Assert.That(Line(full), Is.EqualTo("full"));
        foreach (string command in (string[])["otto watch --timeout 0.3", "otto get k --timeout 0.3", "otto set k v --timeout 0.3",
            "otto sub k --timeout 0.3", "otto-progress 1 2 --task t --timeout 0.3", "otto-progress 2 2 --task t --timeout 0.3"])
            Assert.That(Script(command).Code, Is.EqualTo(124), command);
        full.Kill();
        full.WaitForExit();
        File.Delete(Socket);
    }

    [Test]
    public void Bytes_that_are_no_text_go_through_standard_input_as_they_are()
    {
        Serve();
        Assert.That(Script("printf 'a\\xff\\x00' | otto set k -; otto get k; otto set --help | grep -c 'UTF-8'").ToString(),
            Is.EqualTo("exit 0\n{\"$base64\":\"Yf8A\"}\n1\n\n"));
    }

    [TestCase("serve")]
    [TestCase("get")]
    [TestCase("set")]
    [TestCase("del")]
    [TestCase("list")]
    [TestCase("watch")]
    [TestCase("pub")]
    [TestCase("sub")]
    [TestCase("progress")]
    public void Help_shows_an_example(string command)
    {
        Assert.That(Run("otto", [command, "--help"]).Output, Does.Contain("Example:").And.Contain($"otto {command}"));
        Assert.That(Run("otto", ["--help"]).Output, Does.Contain($"  {command}"));
    }

    private string? Serve(params string[] options)
    {
        _server = Start("otto", ["serve", "--socket", Socket, .. options]);
        return Line(_server);
    }

    /// <summary>By kill -9; what it left lies there.</summary>
    private void KillServer()
    {
        _server!.Kill();
        Assert.That(_server.WaitForExit(TimeSpan.FromSeconds(30)), Is.True);
        _server.Dispose();
        _server = null;
    }

    private Result Script(string script) =>
        Bash($"export OTTO_SOCKET={Socket} SERVER={_server?.Id}; unset OTTO_TASK OTTO_TASK_NAME\n{script}");

    private static string? Line(Process process)
    {
        Task<string?> line = process.StandardOutput.ReadLineAsync();
        return line.Wait(TimeSpan.FromSeconds(30)) ? line.Result
            : throw new TimeoutException($"process {process.Id} said nothing for 30 s");
    }
}
