using Otto.Ipc.Conformance;

namespace Otto.Tools.Tests;

// The tools in containers as they are really run: nothing can be written to, shared memory is small, users have other numbers. Each works,
// or names at once what to set. docs/containers.md describes them.

internal sealed class ContainerToolTests : ToolTest
{
    // The variables of the test name a directory that the container may not have.
    private const string Clean = "unset OTTO_MMAP_DIR OTTO_SHM_DIR OTTO_PID OTTO_MMAP_PATH; ";

    [SetUp]
    public void MakePrivate() => File.SetUnixFileMode(Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

    [TestCase("otto queue send jobs a", "OTTO_SHM_DIR")]
    [TestCase("otto queue work jobs --count 1 -- cat", "OTTO_SHM_DIR")]
    [TestCase("echo a | otto send frames", "OTTO_SHM_DIR")]
    [TestCase("echo a | otto send frames --transport fifo:", "OTTO_FIFO_DIR")]
    [TestCase("cd /; echo a | otto send frames --transport files:", "OTTO_TASKS_DIR")]
    [TestCase("otto serve", "OTTO_SOCKET")]
    [TestCase("otto set --transport mmap: build.step 1", "OTTO_SHM_DIR")]
    [TestCase("otto-mmap-write build '{}'", "OTTO_MMAP_DIR")]
    [TestCase("otto pipe -- echo a ::: cat", "OTTO_FIFO_DIR")]
    [TestCase("otto demo --quick", "OTTO_SHM_DIR")]
    public void Where_nothing_can_be_written_the_variable_that_names_another_place_is_named(string command, string variable)
    {
        Result result = In(Namespaces.ReadOnlyRoot(), Clean + command);
        Assert.That(result.Code, Is.Not.Zero, result.ToString());
        Assert.That(result.Errors, Does.Contain(variable));
        Assert.That(result.Errors.TrimEnd('\n').Split('\n'), Has.Length.EqualTo(1), "one line");
    }

    [TestCase("otto ipc ls", 0)]
    [TestCase("otto queue stat jobs", 3)]
    [TestCase("otto get key", 3)]
    [TestCase("otto-mmap-read build", 3)]
    [TestCase("otto-progress 1 10 compiling", 0)]
    [TestCase("otto completion bash", 0)]
    public void Looking_needs_nothing_that_can_be_written(string command, int code) =>
        Assert.That(In(Namespaces.ReadOnlyRoot(), Clean + command).Code, Is.EqualTo(code));

    [Test]
    public void The_doctor_finds_a_directory_that_cannot_be_made()
    {
        Result result = In(Namespaces.ReadOnlyRoot(), Clean + "otto doctor");
        Assert.That(result.Code, Is.EqualTo(1), result.ToString());
        Assert.That(result.Output,
            Does.Match(@"(?m)^problem  directory  /dev/shm/otto-\d+ does not exist, and cannot be created in /dev/shm$"));
    }

    [Test]
    public void One_directory_in_memory_is_enough_for_everything()
    {
        Result result = In(Namespaces.ReadOnlyRoot(Folder), $$"""
            {{Clean}}
            export OTTO_SHM_DIR={{Folder}}/shm OTTO_MMAP_DIR={{Folder}} OTTO_SOCKET={{Folder}}/run/otto.sock
            export OTTO_FIFO_DIR={{Folder}}/fifo OTTO_TASKS_DIR={{Folder}}/tasks
            echo a | otto queue send jobs - >/dev/null; otto queue work jobs --count 1 -- cat 2>/dev/null
            echo b | otto send frames; timeout 20 otto recv frames --count 1
            otto-mmap-write build step c --pid 1; otto-mmap-read build --pid 1
            otto pipe -- echo d ::: cat
            coproc otto serve; read -r _ <&"${COPROC[0]}"; otto set k e; otto get k; kill $COPROC_PID
            otto doctor >/dev/null; echo "doctor $?"
            """);
        Assert.That(result.Output, Is.EqualTo("a\nb\n{\"step\":\"c\"}\nd\ne\ndoctor 0\n"), result.ToString());
    }

    [Test]
    public void A_small_shared_memory_refuses_with_numbers_and_works_again_once_there_is_room()
    {
        Result result = In(Namespaces.SmallSharedMemory("4m"), Clean + """
            for i in $(seq 20); do otto queue send q$i x >/dev/null 2>>/dev/shm/errors; echo $?; done >/dev/shm/codes
            sort /dev/shm/codes | uniq -c | tr -s ' ' | tr '\n' ,
            grep -c 'needs [0-9,]* bytes and /dev/shm/otto-0 has [0-9,]* free' /dev/shm/errors
            head -c 1000000 /dev/zero | otto queue send q1 - 2>/dev/null; echo large $?
            otto set --transport mmap: build.step 1 2>/dev/null; echo store $?
            otto doctor | grep -c '^problem  space'
            otto queue work q1 --count 1 -- cat 2>/dev/null; echo
            otto ipc rm q2 >/dev/null; otto queue send more y >/dev/null; echo $?
            otto queue work more --count 1 -- cat 2>/dev/null
            """);
        Assert.That(result.Output, Is.EqualTo(" 3 0, 17 5,17\nlarge 5\nstore 5\n1\nx\n0\ny"), result.ToString());
    }

    [TestCase("otto queue send jobs x", "jobs.queue needs ")]
    [TestCase("head -c 1000000 /dev/zero | otto-mmap-write build big --size 4M", "the region ")]
    [TestCase("head -c 1030000 /dev/zero | tr '\\0' x | otto send frames --transport files:", "would pass the limit of ")]
    public void A_limit_of_the_size_of_files_is_an_error_and_does_not_end_the_process(string command, string text)
    {
        // .NET makes a larger file for itself, unless it may write to its code.
        Result result = Bash($"export OTTO_SHM_DIR=$OTTO_MMAP_DIR OTTO_TASKS_DIR=$OTTO_MMAP_DIR/tasks DOTNET_EnableWriteXorExecute=0; "
            + $"ulimit -f 1000; {command}");
        Assert.That(result.Code, Is.InRange(1, 5), result.ToString());
        Assert.That(result.Errors, Does.Contain(text).And.Contain("ulimit -f"));
    }

    [Test]
    public void Users_with_other_numbers_inside_share_the_directory_of_one_user()
    {
        // The same user outside, whatever the number inside.
        string[][] users = [["-r"], ["--map-user=1000"], ["--user"]];
        foreach (string[] user in users)
        {
            Result sent = In(Namespaces.Require(["unshare", .. user]), "OTTO_SHM_DIR=$OTTO_MMAP_DIR otto queue send jobs x");
            Assert.That(sent.Code, Is.Zero, sent.ToString());
        }

        Assert.That(In(Namespaces.Require("unshare", "--map-user=1234"),
            "OTTO_SHM_DIR=$OTTO_MMAP_DIR otto queue work jobs --count 3 -- cat").Output, Is.EqualTo("xxx"));
    }

    [TestCase("otto queue send jobs a")]
    [TestCase("otto queue work jobs --count 1 -- cat")]
    [TestCase("otto ipc ls")]
    [TestCase("otto doctor")]
    public void The_directory_of_another_user_is_refused_with_both_numbers(string command)
    {
        Result result = In(Namespaces.Require("setpriv", "--reuid", "54321", "--clear-groups"), $"OTTO_SHM_DIR=$OTTO_MMAP_DIR {command}");
        Assert.That(result.Code, Is.Not.Zero);
        Assert.That(result.Output + result.Errors, Does.Contain("54321").And.Contain("OTTO_SHM_DIR").And.Contain(Folder));
    }

    private Result In(IReadOnlyList<string> launcher, string script) => Run(launcher[0], [.. launcher.Skip(1), "bash", "-c", script]);
}
