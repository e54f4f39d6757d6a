using System.Diagnostics;
using Otto.Ipc.Benchmarks.Matrix;
using Otto.Ipc.Benchmarks.Matrix.Hosts;
using Otto.Ipc.Benchmarks.Matrix.Probes;
using Otto.Ipc.Benchmarks.Matrix.Results;
using Otto.Ipc.Benchmarks.Matrix.Subjects;
using Otto.Ipc.Benchmarks.Measuring;

namespace Otto.Ipc.Benchmarks.Tests;

// What happens when something goes wrong on the way: it is told so that it can be found, it costs no more
// than itself, and it leaves nothing behind.

[NonParallelizable]
public sealed class ProbeFailureTests
{
    private static readonly SpeedPlan Plan = new(TimeSpan.FromMilliseconds(20), 1, TimeSpan.Zero, 1);

    [Test]
    public void A_missing_message_is_reported_with_the_number_of_those_that_arrived()
    {
        using var three = new Lossy(3);
        Assert.That(() => MeasurementLoops.Drain(three),
            Throws.TypeOf<ProbeException>().With.Message.EqualTo("after 3 read of 64 B: no message came in 0.1 s"));
    }

    [Test]
    public void A_large_message_is_complete_only_if_each_byte_is_in_its_place()
    {
        byte[] message = Message.Create(1_000_003);
        Message.SetNumber(message, 7);
        Assert.That(Message.IsWhole(message));
        foreach (int at in (int[])[0, 9, 1023, 1024, 500_000, 1_000_001, 1_000_002])
        {
            message[at]++;
            Assert.That(Message.IsWhole(message), Is.False, $"byte {at}");
            message[at]--;
        }

        foreach (int moved in (int[])[1, 26, 1024, 4096, 26 * 1024, 1 << 16])
        {
            byte[] shifted = Message.Create(message.Length);
            message.AsSpan(9 + moved, 100_000).CopyTo(shifted.AsSpan(9));
            Assert.That(Message.IsWhole(shifted), Is.False, $"moved by {moved}");
        }

        Assert.That(Message.IsWhole(message));
    }

    [Test]
    public void If_one_of_two_sides_fails_the_error_describes_both()
    {
        var subject = (FifoSubject)AllSubjects.Find("fifo");
        using Workspace workspace = subject.OpenWorkspace();
        using EndpointPair pair = new EndpointPair(subject, workspace);
        pair.Receiver.Request("hear 1");
        pair.Sender.Request("close");
        Assert.That(pair.ReadBothAnswers,
            Throws.TypeOf<ProbeException>().With.Message.EqualTo(
                "sender: came to its end; receiver: InvalidOperationException: no inlet is open"));
    }

    [Test]
    public void A_subject_that_always_fails_is_left_out_and_the_other_figures_stay()
    {
        var measurement = new SpeedMeasurement(Plan);
        List<SpeedResult> results = measurement.Run([new Broken(), AllSubjects.Find("channel")], static _ => { });
        Assert.That(results.Select(static r => r.Subject).Distinct(), Is.EqualTo(new[] { "channel" }));
        Assert.That(measurement.Failures.Select(static f => f.What),
            Is.EqualTo(Enumerable.Repeat("starting: the server did not start", 3)));
        Cell cell = new SpeedProbe(results).TryAndTell(new Broken());
        Assert.That(cell.Contradiction, Is.EqualTo("the probe did not come to its end"));
    }

    [Test]
    public void A_missing_program_is_reported_and_no_transport_is_blamed()
    {
        DirectoryInfo few = Directory.CreateTempSubdirectory("otto-few-programs-");
        try
        {
            foreach (string program in (string[])["bash", "cat", "jq", "timeout", "git", "dotnet"])
                File.CreateSymbolicLink(Path.Combine(few.FullName, program), InstalledPrograms.PathOf(program)!);
            string json = Path.Combine(few.FullName, "run.jsonl");
            (int code, string errors) =
                BenchmarkProgram.Run(Path.GetTempPath(),
                    ["matrix", "--only", "uds", "--rows", "Debuggable", "ShellFriendly", "--json", json],
                    few.FullName);
            Assert.That(code, Is.Zero, errors);
            MatrixRun run = MatrixRun.Parse(File.ReadLines(json));
            foreach (Row row in (Row[])[Row.Debuggable, Row.ShellFriendly])
            {
                Cell cell = run.At(row, "uds")!;
                Assert.That(cell.Verdict, Is.EqualTo("not found out"));
                Assert.That(cell.Evidence, Does.StartWith("nc").And.Contain("is not installed"));
            }

            Assert.That(run.Head.LeftOut, Has.Some.EqualTo("looks and scripts with it: nc is not installed"));
        }
        finally
        {
            few.Delete(recursive: true);
        }
    }

    [TestCase("--only pigeon", "there are files, mmap, uds, fifo, channel, redis")]
    [TestCase("--json /no/such/place/run.jsonl", "--json: there is no directory /no/such/place")]
    [TestCase("--results --only fifo", "leave out --only")]
    public void What_cannot_be_done_is_said_before_anything_is_measured(string arguments, string message)
    {
        (int code, string errors) = BenchmarkProgram.Run(Path.GetTempPath(), ["matrix", .. arguments.Split(' ')]);
        Assert.That(code, Is.Not.Zero);
        Assert.That(errors, Does.Contain(message).And.Not.Contain("   at "));
    }

    [TestCase("--tasks 0", "--tasks must be 1 to 100,000,000")]
    [TestCase("--runs 0", "--runs must be 1 to 100")]
    public void A_number_of_tasks_or_runs_that_is_none_is_refused(string arguments, string message)
    {
        (int code, string errors) = BenchmarkProgram.Run(Path.GetTempPath(), ["before-after", .. arguments.Split(' ')]);
        Assert.That(code, Is.Not.Zero);
        Assert.That(errors, Does.Contain(message));
    }

    [Test]
    public void A_run_says_what_was_asked_and_of_which_commit_wherever_it_was_started()
    {
        string file = Path.Combine(Path.GetTempPath(), $"otto-run-{Guid.NewGuid():N}.jsonl");
        try
        {
            (int code, string errors) =
                BenchmarkProgram.Run(Path.GetTempPath(),
                    ["matrix", "--only", "fifo", "--rows", "CrossPlatform", "--seed", "4", "--json", file]);
            Assert.That(code, Is.Zero, errors);
            RunHead head = MatrixRun.Parse(File.ReadLines(file)).Head;
            Assert.That(head.Command, Is.EqualTo("eng/bench matrix --seed 4 --only fifo --rows CrossPlatform"));
            Assert.That(head.Commit, Is.EqualTo(Machine.Commit));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [TestCase("matrix --quick --only mmap files --rows Speed")]
    [TestCase("before-after")]
    [TestCase("stream --runs 1")]
    public void An_interrupted_run_leaves_nothing_behind(string arguments)
    {
        using Process process = BenchmarkProgram.Start(Path.GetTempPath(), arguments.Split(' '));
        process.ErrorDataReceived += static (_, _) => { };
        process.OutputDataReceived += static (_, _) => { };
        process.BeginErrorReadLine();
        process.BeginOutputReadLine();
        string[] Scratch() => [.. Interruption.Parents.SelectMany(p => Directory.GetFileSystemEntries(p, $"otto-bench-{process.Id}-*"))];
        Assert.That(SpinWait.SpinUntil(() => Scratch().Length > 0 && Children(process.Id).Length > 0, TimeSpan.FromSeconds(60)),
            "nothing was begun");
        int[] children = Children(process.Id);
        using (Process kill = Process.Start("kill", ["-TERM", process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]))
            kill.WaitForExit();
        Assert.That(process.WaitForExit(TimeSpan.FromSeconds(60)), "it did not stop");
        Assert.That(process.ExitCode, Is.Not.Zero);
        Assert.That(Scratch(), Is.Empty);
        Assert.That(() => children.Where(IsRunning), Is.Empty.After(10_000, 20));
    }

    private static int[] Children(int id)
    {
        try
        {
            return [.. File.ReadAllText($"/proc/{id}/task/{id}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(
                int.Parse)];
        }
        catch (IOException)
        {
            return [];
        }
    }

    private static bool IsRunning(int id)
    {
        try
        {
            return !File.ReadAllText($"/proc/{id}/stat").Contains(") Z ", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>Has so many messages and no more.</summary>
    private sealed class Lossy : Inlet
    {
        private readonly byte[] _message = Message.Create(64);
        private readonly int _messages;
        private uint _next;

        public Lossy(int messages) => (_messages, Patience) = (messages, TimeSpan.FromMilliseconds(100));

        public override void Dispose()
        {
        }

        protected override bool TryReceive(out ReadOnlySpan<byte> message)
        {
            message = _message;
            if (_next == _messages) return false;
            Message.SetNumber(_message, _next++);
            return true;
        }

        protected override void Sleep(TimeSpan most) => Thread.Yield();
    }

    /// <summary>A subject whose server never starts.</summary>
    private sealed class Broken : Subject
    {
        public override string Name => "broken";

        public override Workspace OpenWorkspace(bool keep = false) => throw new IOException("the server did not start");

        public override Inlet OpenInlet(string address, string channel, LinkOptions options) => throw new NotSupportedException();

        public override Outlet OpenOutlet(string address, string channel, LinkOptions options) => throw new NotSupportedException();
    }
}
