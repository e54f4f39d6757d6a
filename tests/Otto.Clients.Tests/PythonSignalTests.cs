namespace Otto.Clients.Tests;

// otto.py where signals come in the middle of a call: the handler's own calls, and exceptions that it raises.

[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class PythonSignalTests
{
    // A signal comes in the middle of the n-th call of a function of otto.py; the handler runs right there, as Python runs handlers
    // between two steps.
    private const string Signals = """
        import os, signal, threading, otto
        class Broken(Exception): pass
        def in_the_middle(owner, name, handler, after=False, at=1):
            original, left = getattr(owner, name), [at]
            def replaced(*arguments):
                left[0] -= 1
                if left[0] == 0 and not after: signal.raise_signal(signal.SIGUSR1)
                answer = original(*arguments)
                if left[0] == 0 and after: signal.raise_signal(signal.SIGUSR1)
                return answer
            signal.signal(signal.SIGUSR1, handler)
            setattr(owner, name, replaced)
            return lambda: (setattr(owner, name, original), left[0] <= 0)[1]
        def broken(*_): raise Broken
        signal.signal(signal.SIGALRM, lambda *_: os._exit(99))
        signal.alarm(60)

        """;

    private readonly ClientWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [TestCase("send", false)]
    [TestCase("send", true)]
    [TestCase("receive", false)]
    [TestCase("receive", true)]
    [TestCase("_connect", false)]
    [TestCase("_connect", true)]
    public void A_handler_uses_the_client_in_the_middle_of_a_call(string step, bool after)
    {
        _workspace.Serve();
        Run($$"""
            c = otto.OttoClient(task="t")
            c.set("a", 1); c.set("b", 2)
            heard = []
            def handler(*_):
                c.set("c", 3); c.progress(1, 2, "half")
                heard.append((c.get("t.b"), c.list_keys("t.[ab]")))
            for call, answer in ((lambda: c.get("t.a"), 1), (lambda: c.list_keys("t.a"), ["t.a"]), (lambda: c.set("d", 4), None),
                                 (lambda: c.progress(1, 2), None), (lambda: c.exists("t.none"), False),
                                 (lambda: c.subscribe("t.a", timeout=20).close(), None)):
                if "{{step}}" == "_connect": c.close()
                came = in_the_middle(otto._Line, "{{step}}", handler, {{(after ? "True" : "False")}})
                got = call()
                assert came(), "no signal came"
                assert got == answer, (got, answer)
                assert heard.pop() == (2, ["t.a", "t.b"]) and not heard
            assert c.get("t.d") == 4 and c.get("t.c") == 3
            """);
    }

    [Test]
    public void A_handler_that_runs_all_the_time_mixes_no_answers()
    {
        _workspace.Serve();
        Run("""
            c = otto.OttoClient()
            errors, count = [], [0]
            def handler(*_):
                try:
                    count[0] += 1
                    c.set("handler", count[0])
                    if c.get("handler") != count[0]: errors.append(count[0])
                except BaseException as e: errors.append(repr(e))
                signal.setitimer(signal.ITIMER_REAL, 0.003)
            signal.signal(signal.SIGALRM, handler)
            signal.setitimer(signal.ITIMER_REAL, 0.003)
            i = 0
            while count[0] < 30:
                i += 1
                c.set("main", i)
                assert c.get("main") == i
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert not errors, errors
            """);
    }

    [TestCase("send", false, 1)]
    [TestCase("send", true, 1)]
    [TestCase("receive", false, 1)]
    [TestCase("receive", true, 1)]
    [TestCase("receive", false, 2)]
    [TestCase("_put_back", false, 1)]
    [TestCase("_put_back", true, 1)]
    public void After_an_exception_in_the_middle_of_a_call_the_next_one_has_its_own_answers(string step, bool after, int at)
    {
        _workspace.Serve();
        string owner = step == "_put_back" ? "otto.OttoClient" : "otto._Line";
        Run($$"""
            c = otto.OttoClient()
            c.set("a", 1); c.set("b", 2)
            for call in (lambda: c.get("a"), lambda: c.delete("c"), lambda: c.get("none")):
                came = in_the_middle({{owner}}, "{{step}}", broken, {{(after ? "True" : "False")}}, {{at}})
                try: call()
                except Broken: pass
                else: raise AssertionError("nothing was raised")
                assert came()
                assert c.get("b") == 2 and c.list_keys("[ab]") == ["a", "b"] and c.exists("none") is False
            """);
    }

    [Test]
    public void After_an_exception_at_any_moment_the_next_call_has_its_own_answers()
    {
        _workspace.Serve();
        Run("""
            import sys
            c = otto.OttoClient()
            c.set("a", 1); c.set("b", 2)
            # Every line of the client's call is left by an exception once, as by KeyboardInterrupt.
            steps = 0
            while True:
                steps += 1
                left = [steps]
                def trace(frame, event, _):
                    if frame.f_code.co_filename != otto.__file__ or frame.f_code.co_name == "__del__": return None
                    if event == "line":
                        left[0] -= 1
                        if left[0] == 0:
                            sys.settrace(None)
                            raise Broken
                    return trace
                try:
                    sys.settrace(trace)
                    c.get("a")
                except Broken: pass
                finally: sys.settrace(None)
                assert c.get("b") == 2 and c.list_keys("[ab]") == ["a", "b"], steps
                if left[0] > 0: break
            assert steps > 30, steps
            """);
    }

    [Test]
    public void An_exception_at_any_moment_loses_no_event_but_the_one_in_hand()
    {
        _workspace.Serve();
        Run("""
            import socket, sys
            c = otto.OttoClient()
            news = c.subscribe("x", timeout=30)
            steps = 0
            while True:
                steps += 1
                for i in range(3): c.publish("x", [steps, i])
                while news._line._socket.recv(1 << 16, socket.MSG_PEEK).count(b"\n") < 3: pass
                left, heard = [steps], []
                def trace(frame, event, _):
                    if frame.f_code.co_filename != otto.__file__: return None
                    if event == "line":
                        left[0] -= 1
                        if left[0] == 0:
                            sys.settrace(None)
                            raise Broken
                    return trace
                try:
                    sys.settrace(trace)
                    heard.append(next(news).value)
                except Broken: pass
                finally: sys.settrace(None)
                while heard[-1:] != [[steps, 2]]: heard.append(next(news).value)
                assert heard[-2:] == [[steps, 1], [steps, 2]], (steps, heard)
                if left[0] > 0: break
            assert steps > 10, steps
            """);
    }

    [Test]
    public void A_change_in_the_middle_of_a_change_is_refused_at_once()
    {
        string path = Path.Combine(_workspace.Directory, "r");
        Assert.That(_workspace.Bash($"OTTO_MMAP_PATH={path} otto_mmap_set t n 0").Code, Is.Zero);
        Run($$"""
            region, other = (otto.Region(path={{'"'}}{{path}}{{'"'}}, timeout=5) for _ in range(2))
            heard = []
            def handler(*_):
                try: other.update({"n": 9})
                except BaseException as e: heard.append(e)
            came = in_the_middle(otto.Region, "_front", handler)
            assert region.update({"n": 1})["n"] == 1 and came()
            assert len(heard) == 1 and "interrupts" in str(heard[0]), heard
            assert other.update({"n": 2})["n"] == 2 and not otto._changing
            """);
    }

    [Test]
    public void A_fence_is_held_up_by_no_interrupted_one()
    {
        Run("""
            import sys
            hits = []
            def trace(frame, event, _):
                if frame.f_code is otto._fence.__code__:
                    if event == "line":
                        sys.settrace(None)
                        otto._fence()
                        hits.append(frame.f_lineno)
                        sys.settrace(trace)
                    return trace
            sys.settrace(trace)
            otto._fence()
            sys.settrace(None)
            assert hits
            """);
    }

    private void Run(string program)
    {
        ProgramResult result = _workspace.Python(Signals + program);
        Assert.That(result.Code, Is.Zero, result.ToString());
    }
}
