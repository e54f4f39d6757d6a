using System.Diagnostics;
using Otto.Ipc.Conformance;

namespace Otto.Clients.Tests;

// otto.py against the real server.

[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class PythonStoreTests
{
    private readonly ClientWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Another_users_server_is_handed_nothing()
    {
        if (_workspace.Run("bash", ["-c", "[ $(id -u) = 0 ]"], null).Code != 0) Assert.Ignore("needs root, to become another user");
        ProgramResult result = _workspace.Run("bash", ["-c", $$"""
            open=$(mktemp -d /tmp/otto-open-XXXXXX); trap 'rm -r $open' EXIT
            chmod 777 $open; export OTTO_SOCKET=$open/s
            setpriv --reuid=65534 --regid=65534 --clear-groups -- nc -lU "$OTTO_SOCKET" > $open/heard & impostor=$!
            until grep -q " 00010000 .* $OTTO_SOCKET" /proc/net/unix; do kill -0 $impostor || exit 90; done
            chmod 777 "$OTTO_SOCKET"
            PYTHONPATH={{ClientWorkspace.Clients}}/python python3 -c 'import otto; otto.OttoClient().set("secret", "hunter2")'
            kill $impostor; cat $open/heard
            """], null);
        Assert.That(result.Output, Is.Empty, result.Errors);
        Assert.That(result.Errors, Does.Contain("PermissionError").And.Contain("belongs to uid 65534"));
    }

    [Test]
    public void Values_come_back_as_they_were_set()
    {
        _workspace.Serve();
        Run("""
            from otto import OttoClient
            values = [None, True, 0, -1.5, 12345678901234567890, "", "grüße\n\"x\" 日本語 😀 \u2028 \x00", [], [1, [2]],
                      {"a": {"b": None}}, bytes(range(256)), b"", {"$base64": "not base64!"}]
            with OttoClient(task="t") as otto:
                for i, value in enumerate(values):
                    otto.set(f"k{i}", value)
                for i, value in enumerate(values):
                    got = otto.get(f"t.k{i}", "missing")
                    assert got == value and type(got) is type(value), (value, got)
                assert otto.list_keys("t.k?") == [f"t.k{i}" for i in range(10)], otto.list_keys()
                assert otto.list_keys("nobody*") == []
                assert otto.exists("t.k0") and not otto.exists("k0")
                assert otto.delete("t.k0") is True
                assert otto.delete("t.k0") is False
                assert otto.get("t.k0") is None and otto.get("t.k0", 5) == 5
                otto.set("large", "x" * 1000000)
                assert otto.get("t.large") == "x" * 1000000
            """);
    }

    [Test]
    public void The_task_and_the_socket_come_from_the_environment()
    {
        _workspace.Serve();
        Run("from otto import OttoClient\nOttoClient().set('a', 1)\nassert OttoClient().list_keys() == ['one.a']",
            ("OTTO_TASK_NAME", "one"), ("OTTO_TASK", "two"));
        Run("from otto import OttoClient\nOttoClient().set('a', 1)\nassert OttoClient().list_keys() == ['one.a', 'two.a']",
            ("OTTO_TASK", "two"));
        Run("from otto import OttoClient\nOttoClient(task='').set('a', 1)\nassert OttoClient().list_keys() == ['a', 'one.a', 'two.a']",
            ("OTTO_TASK", "two"));
        Run($"from otto import OttoClient\nassert OttoClient('{_workspace.SocketPath}').get('a') == 1", ("OTTO_SOCKET", "/nowhere"));
        Run("""
            import otto, os
            assert otto.OttoClient().socket_path == "/run/user/5/otto/otto.sock"
            del os.environ["XDG_RUNTIME_DIR"]
            assert otto.OttoClient().socket_path == f"/tmp/otto-{os.geteuid()}/otto.sock"
            """, ("OTTO_SOCKET", ""), ("XDG_RUNTIME_DIR", "/run/user/5"));
    }

    [Test]
    public void A_subscription_begins_with_a_snapshot_and_receives_later_changes()
    {
        _workspace.Serve();
        Run("""
            import threading
            from otto import OttoClient, Event
            otto = OttoClient(task="t")
            otto.set("a", 1)
            otto.set("b", b"\x00")
            with otto.subscribe("t.*", snapshot=True, timeout=20) as news:
                first = sorted((next(news), next(news)), key=lambda event: event.key)
                assert [(e.kind, e.key, e.value) for e in first] == [("set", "t.a", 1), ("set", "t.b", b"\x00")], first
                otto.set("a", {"x": [1, 2]})
                otto.delete("t.b")
                got = [next(news), next(news)]
                assert [(e.kind, e.key, e.value) for e in got] == [("set", "t.a", {"x": [1, 2]}), ("delete", "t.b", None)], got
                assert got[0].sequence < got[1].sequence
            with otto.subscribe("topic") as news:
                otto.publish("topic", "hello world")
                assert next(news)[1:] == ("message", "topic", "hello world")
                # Closing from elsewhere ends the waiting.
                threading.Timer(0.05, news.close).start()
                assert list(news) == []
            try:
                next(otto.subscribe("t.*", timeout=0.05))
                raise SystemExit("no timeout")
            except TimeoutError:
                pass
            """);
    }

    [Test]
    public void Many_sets_reach_a_subscriber_whose_last_value_is_right()
    {
        _workspace.Serve();
        Run("""
            import threading
            from otto import OttoClient
            otto = OttoClient(task="t")
            with otto.subscribe("t.*", timeout=20) as news:
                def write():
                    with OttoClient(task="t") as writer:
                        for i in range(5000):
                            writer.set(f"k{i % 10}", i)
                thread = threading.Thread(target=write)
                thread.start()
                last, sequence = {}, -1
                while len(last) < 10 or min(last.values()) < 4990:
                    event = next(news)
                    assert event.kind == "set" and event.sequence > sequence and event.value > last.get(event.key, -1), event
                    last[event.key], sequence = event.value, event.sequence
                thread.join()
            """);
    }

    [Test]
    public void Progress_is_reported_and_without_a_server_it_is_silent()
    {
        Run("from otto import OttoClient\nOttoClient(task='t').progress(1, 2, 'x')");
        _workspace.Serve();
        Run("""
            from otto import OttoClient
            otto = OttoClient(task="t")
            otto.progress(3, 10, "half\nway  there")
            otto.progress(4.5)
            value = otto.get("t.progress")
            assert value["current"] == 4.5, value
            """);
    }

    [Test]
    public void Without_a_server_the_error_says_what_to_do()
    {
        Run("""
            from otto import OttoClient, ServerMissingError
            try:
                OttoClient().get("a")
            except ServerMissingError as e:
                assert "otto serve" in str(e) and "otto.sock" in str(e), e
            else:
                raise SystemExit("no error")
            """);
    }

    [Test]
    public void A_server_that_was_started_again_is_found_again()
    {
        _workspace.Serve();
        Process program = _workspace.Start("python3", ["-c", """
            from otto import OttoClient, ServerMissingError
            otto = OttoClient(task="t")
            otto.set("a", 1)
            print("set", flush=True)
            input()
            try:
                otto.get("t.a")
            except ServerMissingError:
                print("missing", flush=True)
            input()
            otto.set("a", 2)
            print(otto.get("t.a"), flush=True)
            """]);
        Assert.That(ClientWorkspace.ReadLine(program), Is.EqualTo("set"));
        _workspace.KillServer();
        program.StandardInput.WriteLine();
        Assert.That(ClientWorkspace.ReadLine(program), Is.EqualTo("missing"));
        _workspace.Serve();
        program.StandardInput.WriteLine();
        Assert.That(ClientWorkspace.ReadLine(program), Is.EqualTo("2"));
        // And where the connection died between two calls without anybody noticing.
        _workspace.KillServer();
        _workspace.Serve();
        Assert.That(program.WaitForExit(Watchdog.Limit), Is.True);
        Assert.That(program.ExitCode, Is.Zero);
    }

    [Test]
    public void A_connection_that_died_unnoticed_is_made_anew_for_the_next_call()
    {
        _workspace.Serve();
        Process program = _workspace.Start("python3", ["-c", "from otto import OttoClient\notto = OttoClient(task='t')\notto.set('a', "
            + "1)\nprint('set', flush=True)\ninput()\notto.set('b', 2)\nprint(otto.list_keys(), flush=True)"]);
        Assert.That(ClientWorkspace.ReadLine(program), Is.EqualTo("set"));
        _workspace.KillServer();
        _workspace.Serve();
        program.StandardInput.WriteLine();
        Assert.That(ClientWorkspace.ReadLine(program), Is.EqualTo("['t.b']"));
    }

    [Test]
    public void A_server_that_does_not_answer_ends_in_a_timeout()
    {
        _workspace.ServeSilence();
        Run("""
            import time
            from otto import OttoClient
            otto = OttoClient(timeout=0.3)
            for call in (lambda: otto.get("a"), lambda: otto.subscribe("a")):
                start = time.monotonic()
                try:
                    call()
                    raise SystemExit("no timeout")
                except TimeoutError:
                    assert time.monotonic() - start >= 0.29
            """);
    }

    [Test]
    public void A_rejected_command_has_its_code_and_the_connection_continues()
    {
        _workspace.Serve("value=1000");
        Run("""
            from otto import OttoClient, RefusedError
            otto = OttoClient(task="t")
            try:
                otto.set("a", "x" * 2000)
                raise SystemExit("no error")
            except RefusedError as e:
                assert e.code == "TOOBIG", e
            otto.set("a", 1)
            assert otto.get("t.a") == 1
            """);
    }

    [Test]
    public void What_cannot_be_a_key_or_a_value_never_reaches_the_server()
    {
        _workspace.Serve();
        Run("""
            from otto import OttoClient
            otto = OttoClient(task="t")
            otto.set("precious", 1)
            for key in ("", "a b", "a\nDELETE t.precious", "a\x00", "a\u2028b", "a\x85", "k" * 251, "ü" * 126, "ü." + "k" * 249,
                        "s." + "k" * 251):
                for call in (otto.get, otto.delete, otto.exists, otto.list_keys, otto.subscribe,
                             lambda k: otto.set(k, 1), lambda k: otto.publish(k, 1)):
                    try:
                        call(key)
                        raise SystemExit(f"no error: {key!r}")
                    except ValueError:
                        pass
            for value in (float("nan"), object(), {1, 2}, "\ud800"):
                try:
                    otto.set("a", value)
                    raise SystemExit(f"no error: {value!r}")
                except (ValueError, TypeError):
                    pass
            assert otto.list_keys() == ["t.precious"]
            # The task's name is a store's, and does not count.
            otto.set("k" * 250, 1)
            assert otto.get("t." + "k" * 250) == 1
            """);
    }

    [Test]
    public void Halves_of_surrogate_pairs_are_refused_with_words()
    {
        _workspace.Serve();
        Run("""
            from otto import OttoClient
            otto = OttoClient(task="t")
            for call in (lambda: otto.get("a\ud800"), lambda: otto.set("a\ud800", 1), lambda: otto.set("a", ["\ud800"]),
                         lambda: otto.publish("a", "\ud800"),
                         lambda: otto.subscribe("\ud800"), lambda: otto.progress(1, 2, "\ud800")):
                try:
                    call()
                    raise SystemExit("no error")
                except ValueError as e:
                    assert type(e) is ValueError and "U+D800" in str(e) and "surrogate" in str(e), repr(e)
            assert otto.list_keys() == []
            """);
    }

    [Test]
    public void A_rejected_client_receives_the_reason()
    {
        _workspace.Serve("connections=1");
        Run("""
            import socket, os
            from otto import OttoClient, RefusedError
            only = socket.socket(socket.AF_UNIX)
            only.connect(os.environ["OTTO_SOCKET"])
            only.sendall(b"PING\n")
            assert only.recv(5) == b"PONG\n"
            otto = OttoClient(task="t", timeout=20)
            for i in range(200):
                for call in (lambda: otto.get("a"), lambda: otto.set("a", "x" * 100000), lambda: otto.subscribe("a"),
                             lambda: otto.progress(1)):
                    try:
                        call()
                        raise SystemExit("no error")
                    except RefusedError as e:
                        assert e.code == "BUSY", repr(e)
            only.close()
            while True:
                try:
                    otto.set("a", 1)
                    break
                except RefusedError as e:
                    assert e.code == "BUSY", repr(e)
            assert otto.get("t.a") == 1
            """);
    }

    [Test]
    public void A_server_with_more_callers_than_it_takes_in_is_waited_for() => Run("""
        import os, socket, threading, time
        from otto import OttoClient, OttoError, ServerMissingError
        path = os.environ["OTTO_SOCKET"]
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1)
        callers = []
        try:
            while True:
                callers.append(socket.socket(socket.AF_UNIX))
                callers[-1].setblocking(False)
                callers[-1].connect(path)
        except BlockingIOError:
            pass
        for call in (lambda o: o.get("a"), lambda o: o.subscribe("a"), lambda o: o.progress(1)):
            start = time.monotonic()
            try:
                call(OttoClient(task="t", timeout=0.3))
                raise SystemExit("no error")
            except TimeoutError as e:
                assert 0.29 <= time.monotonic() - start < 10, repr(e)
        # Once it takes them in, it answers; what is no answer of this protocol is an error of ours.
        def answer():
            for word in (b"true\nhello\n", b"\xff\n\xff\n", b"EVENT\n"):
                while True:
                    c, _ = listener.accept()
                    if c.recv(100):
                        break
                    c.close()
                c.sendall(word)
                c.close()
            listener.close()
        for caller in callers:
            caller.close()
        threading.Thread(target=answer).start()
        def listen(otto):
            with otto.subscribe("a", timeout=5) as news:
                next(news)
        for call in (lambda o: o.get("a"), lambda o: o.get("a"), listen):
            try:
                with OttoClient(task="t", timeout=20) as otto:
                    call(otto)
                raise SystemExit("no error")
            except OttoError as e:
                assert "protocol" in str(e) or "JSON" in str(e) or isinstance(e, ServerMissingError), repr(e)
        try:
            OttoClient("/tmp/" + "x" * 200).get("a")
        except OttoError as e:
            assert "too long" in str(e), repr(e)
        """);

    [Test]
    public void A_server_of_another_user_is_refused_unless_that_is_meant()
    {
        if (Environment.UserName != "root") Assert.Ignore("needs root, to become another user");
        Process theirs = _workspace.Start("python3", ["-c", """
            import os, socket
            s = socket.socket(socket.AF_UNIX)
            s.bind(os.environ["OTTO_SOCKET"])
            os.setresuid(65534, 65534, 65534)
            s.listen()
            print("ready", flush=True)
            for _ in range(3):
                c, _ = s.accept()
                got = c.recv(1000)
                print(got, flush=True)
                if got: c.sendall(b"OK\n")
                c.close()
            """]);
        Assert.That(ClientWorkspace.ReadLine(theirs), Is.EqualTo("ready"));
        const string Refused = """
            from otto import OttoClient
            for call in (lambda o: o.set("secret", 1), lambda o: o.subscribe("secret")):
                try:
                    call(OttoClient(task="t"))
                    raise SystemExit("no error")
                except PermissionError as e:
                    assert "65534" in str(e) and "OTTO_SOCKET_TRUST_OWNER" in str(e), repr(e)
            """;
        Run(Refused);
        Run("from otto import OttoClient\nOttoClient(task='t').set('known', 1)", ("OTTO_SOCKET_TRUST_OWNER", "1"));
        Assert.That(ClientWorkspace.ReadLine(theirs), Is.EqualTo("b''"));
        Assert.That(ClientWorkspace.ReadLine(theirs), Is.EqualTo("b''"));
        Assert.That(ClientWorkspace.ReadLine(theirs), Is.EqualTo("b'SET t.known 1\\n'"));
    }

    [Test]
    public void Threads_share_a_client()
    {
        _workspace.Serve();
        Run("""
            import threading
            from otto import OttoClient
            otto, wrong = OttoClient(task="t"), []
            def work(me):
                for i in range(300):
                    otto.set(f"k{me}", i)
                    if otto.get(f"t.k{me}") != i:
                        wrong.append((me, i))
            threads = [threading.Thread(target=work, args=(me,)) for me in range(6)]
            [t.start() for t in threads]
            [t.join() for t in threads]
            assert not wrong, wrong
            """);
    }

    [Test]
    public void Everything_public_is_typed_and_described()
    {
        Run("""
            import inspect, otto
            for name in otto.__all__:
                thing = getattr(otto, name)
                assert inspect.getdoc(thing), name
                for member, function in inspect.getmembers(thing, inspect.isfunction):
                    if function.__module__ != "otto" or member.startswith("_") and member != "__init__":
                        continue
                    signature = inspect.signature(function)
                    for parameter in list(signature.parameters.values())[1:]:
                        assert parameter.annotation is not inspect.Parameter.empty, (name, member, parameter)
                    assert signature.return_annotation is not inspect.Signature.empty, (name, member)
                    assert member == "__init__" or member in ("close",) or inspect.getdoc(function), (name, member)
            """);
    }

    [Test]
    public void Every_python_from_3_9_on_that_is_here_can_use_it()
    {
        _workspace.Serve();
        int tried = 0;
        foreach (string python in (string[])["python3.9", "python3.10", "python3.11", "python3.12", "python3.13", "python3.14"])
        {
            if (_workspace.Run("bash", ["-c", $"{python} -c pass"], null).Code != 0) continue;
            ProgramResult result = _workspace.Run(python, ["-W", "error", "-c", "from otto import OttoClient\nwith OttoClient(task='t', "
                + "timeout=5) as o:\n  o.set('a', 1)\n  assert o.get('t.a') == 1\n  with o.subscribe('t.*', timeout=0.01) as news:\n    "
                + "try: next(news)\n    except TimeoutError: pass"], null);
            Assert.That(result.ToString(), Is.EqualTo("exit 0\n"), python);
            tried++;
        }

        TestContext.Out.WriteLine($"{tried} versions");
    }

    private void Run(string program, params (string Name, string Value)[] environment) =>
        Assert.That(_workspace.Python(program, environment).ToString(), Is.EqualTo("exit 0\n"));
}
