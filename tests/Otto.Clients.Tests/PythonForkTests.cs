namespace Otto.Clients.Tests;

// otto.py in a process that forks, as gunicorn --preload and multiprocessing do: a child has a connection of its own, and nothing that a
// child does or ends reaches what its parent holds.

[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class PythonForkTests
{
    private const string Forks = """
        import os, sys, otto
        def fork(work):
            child = os.fork()
            if child: return child
            try:
                work()
                sys.stdout.flush()
                os._exit(0)
            except BaseException as e:
                print(type(e).__name__, e, flush=True)
                os._exit(1)
        def ended(*children):
            codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
            assert not any(codes), codes

        """;

    private readonly ClientWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Children_and_their_parent_read_what_each_of_them_wrote()
    {
        _workspace.Serve();
        Run("""
            c = otto.OttoClient()
            c.set("a", 1)
            def work():
                key = f"k{os.getpid()}"
                for i in range(1000):
                    c.set(key, i)
                    assert c.get(key) == i, (key, i)
            children = [fork(work) for _ in range(4)]
            work()
            ended(*children)
            """);
    }

    [TestCase("c.close()")]
    [TestCase("with c: pass")]
    [TestCase("del c; import gc; gc.collect()")]
    [TestCase("raise SystemExit")]
    public void What_a_child_does_to_its_copy_leaves_the_parents_connection_alone(string end)
    {
        _workspace.Serve();
        Run($$"""
            c = otto.OttoClient()
            c.set("a", 1)
            line = c._line
            def work():
                global c
                {{end}}
            child = os.fork()
            if not child:
                work()
                sys.exit(0)
            ended(child)
            assert c.get("a") == 1 and c._line is line and not line.ended, "the same connection"
            """);
    }

    [Test]
    public void A_child_is_not_held_up_by_what_another_thread_did_at_the_fork()
    {
        _workspace.Serve();
        Run("""
            import threading
            c = otto.OttoClient()
            c.set("a", 1)
            stop = False
            def busy():
                while not stop: c.get("a"); otto._fence()
            threads = [threading.Thread(target=busy) for _ in range(3)]
            for thread in threads: thread.start()
            def work():
                assert c.get("a") == 1
                otto._fence()
            import warnings
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of threads and forks
            for _ in range(50): ended(fork(work))
            # Held for certain:
            c._lock.acquire()
            children = [fork(work)]
            ended(*children)
            c._lock.release()
            stop = True
            for thread in threads: thread.join()
            """);
    }

    [Test]
    public void A_fork_that_told_python_nothing_is_noticed_by_the_next_call()
    {
        _workspace.Serve();
        Run("""
            import ctypes
            c = otto.OttoClient()
            c.set("a", 1)
            libc = ctypes.PyDLL(None)
            child = libc.fork()
            if not child:
                mine = c._line
                for i in range(500):
                    c.set("child", i)
                    assert c.get("child") == i
                assert c._line is not mine
                c.close()
                os._exit(0)
            for i in range(500):
                c.set("parent", i)
                assert c.get("parent") == i
            ended(child)
            assert c.get("a") == 1
            """);
    }

    [Test]
    public void A_pool_of_processes_uses_the_clients_that_were_made_before_it()
    {
        _workspace.Serve();
        Run("""
            import multiprocessing
            c = otto.OttoClient(task="pool")
            c.set("start", 1)
            def work(i):
                c.set(f"k{i}", i)
                return c.get(f"pool.k{i}")
            with multiprocessing.get_context("fork").Pool(4) as pool:
                assert pool.map(work, range(200), 5) == list(range(200))
            assert c.get("pool.start") == 1 and len(c.list_keys("pool.k*")) == 200
            """);
    }

    [Test]
    public void A_subscription_stays_its_parents()
    {
        _workspace.Serve();
        Run("""
            c = otto.OttoClient()
            news = c.subscribe("x", timeout=30)
            def work():
                try: next(news)
                except otto.OttoError as e: assert "open one here" in str(e), e
                else: raise AssertionError("it heard")
                news.close()
                with c.subscribe("y", timeout=30) as own:
                    c.set("y", 2)
                    assert next(own).value == 2
            ended(fork(work))
            c.set("x", 1)
            assert next(news).value == 1
            """);
    }

    [Test]
    public void A_regions_lock_is_the_process_that_took_it()
    {
        string path = Path.Combine(_workspace.Directory, "r");
        Assert.That(_workspace.Bash($"OTTO_MMAP_PATH={path} otto_mmap_set t n 0").Code, Is.Zero);
        Run($$"""
            import fcntl, signal
            path = {{'"'}}{{path}}{{'"'}}
            region = otto.Region(path=path, timeout=20)
            def is_free():
                with open(path, "rb+") as file:
                    try: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError: return False
                    return True
            # A child that was forked in the middle of a change, and ends: the parent still has the lock.
            def make(old):
                child = os.fork()
                if not child: sys.exit(0)
                ended(child)
                assert not is_free(), "the child unlocked it"
                return {"n": 1}
            assert region.change(make) == {"n": 1}
            # One that goes on as if the change were its own.
            def make(old):
                global child
                child = os.fork()
                return {"n": 2 if child else 99}
            try: assert region.change(make) == {"n": 2}
            except otto.OttoError as e:
                if child: raise
                assert "its parent's" in str(e), e
                os._exit(0)
            ended(child)
            assert region.read() == {"n": 2}
            # A child that lives does not keep the lock of a parent that was killed.
            read, write = os.pipe()
            def make(old):
                sleeper = os.fork()
                if not sleeper: signal.pause()
                os.write(write, str(sleeper).encode())
                os.kill(os.getpid(), signal.SIGKILL)
            holder = os.fork()
            if not holder: region.change(make)
            os.waitpid(holder, 0)
            try: assert region.update({"n": 3}) == {"n": 3}
            finally: os.kill(int(os.read(read, 20)), signal.SIGKILL)
            """);
    }

    private void Run(string program)
    {
        ProgramResult result = _workspace.Python(Forks + program);
        Assert.That(result.Code, Is.Zero, result.ToString());
    }
}
