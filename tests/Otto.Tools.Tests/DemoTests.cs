using System.Text.Json;

namespace Otto.Tools.Tests;

// The main job on real files, run as a user runs it, and what it says where the files are not what they should be.

internal sealed class DemoTests : ToolTest
{
    [Test]
    public void The_quick_demo_loses_nothing_and_does_nothing_twice_either_way()
    {
        bool redis = Bash("command -v redis-server").Code == 0;
        Result result = Run("otto", ["demo", "--quick", "--json", "-", "--redis", "own"]);
        Assert.That(result.Code, Is.Zero, result.ToString());
        Outcome[] outcomes = Outcomes(result.Output);
        Assert.That(outcomes.Select(o => o.Route), Is.EqualTo(redis ? ["inprocess", "mmap", "redis"] : new[] { "inprocess", "mmap" }));
        Assert.That(outcomes.Select(o => (o.Tasks, o.Lost, o.Duplicated)), Is.All.EqualTo((120, 0, 0)));
        Assert.That(outcomes.Select(o => o.OverheadP50Us), Is.All.GreaterThan(0));
        Assert.That(outcomes.Select(o => o.OverheadP99Us >= o.OverheadP50Us), Is.All.True);
        if (redis) Assert.That(outcomes.Select(o => o.RatioToRedis),
            Is.EqualTo(outcomes.Select(o => Math.Round(outcomes[2].OverheadP50Us / o.OverheadP50Us, 1))));
        else Assert.That(result.Errors, Does.Contain("redis-server is not installed"));
    }

    [Test]
    public void The_table_goes_to_stdout_and_progress_to_stderr()
    {
        string files = MakeFiles(3);
        Result result = Run("otto", ["demo", files, "--json", Path.Combine(Folder, "result.json")]);
        Assert.That(result.Code, Is.Zero, result.ToString());
        Assert.That(result.Output, Does.Contain("inprocess").And.Contain("mmap").And.Contain("3 files below " + files));
        Assert.That(result.Errors, Does.Contain("3 files; vision 3, voice 3"));
        Assert.That(Outcomes(File.ReadAllText(Path.Combine(Folder, "result.json"))).Select(o => o.Tasks), Is.All.EqualTo(6));
    }

    [Test]
    public void A_server_that_does_not_answer_is_named()
    {
        Result result = Run("otto", ["demo", MakeFiles(1), "--redis", "127.0.0.1:1,connectTimeout=300"]);
        Assert.That(result.Code, Is.EqualTo(1), result.ToString());
        Assert.That(result.Errors, Does.Contain("the Redis server cannot be used").And.Contain("127.0.0.1:1"));
    }

    [Test]
    public void Its_own_server_dies_with_a_killed_run()
    {
        if (Bash("command -v redis-server").Code != 0) Assert.Ignore("redis-server is not installed: apt-get install redis-server");
        Result result = Bash("""
            export TMPDIR=$OTTO_MMAP_DIR
            otto demo --quick --redis own 2>"$OTTO_MMAP_DIR/words" >/dev/null & pid=$!
            until grep -q 'through Redis' "$OTTO_MMAP_DIR/words"; do kill -0 $pid || exit 9; done
            ls -d "$TMPDIR"/otto-redis-* | wc -l
            kill -KILL $pid; wait $pid 2>/dev/null
            # Its guard removes the directory last, once the server is dead.
            while ls -d "$TMPDIR"/otto-redis-* 2>/dev/null; do sleep 0.01; done >/dev/null
            echo gone
            """);
        Assert.That(result.Output, Is.EqualTo("1\ngone\n"), result.ToString());
    }

    [Test]
    public void A_directory_that_does_not_exist_is_named_and_fails()
    {
        Result result = Run("otto", ["demo", "/no/such/directory"]);
        Assert.That((result.Code, result.Output, result.Errors), Is.EqualTo((1, "", "otto: /no/such/directory does not exist\n")));
    }

    [Test]
    public void A_file_in_place_of_a_directory_is_said_to_be_one()
    {
        string file = Path.Combine(MakeFiles(1), "file0");
        Result result = Run("otto", ["demo", file]);
        Assert.That((result.Code, result.Errors), Is.EqualTo((1, $"otto: {file} is a file; name the directory that holds it\n")));
    }

    [Test]
    public void An_unknown_option_is_a_usage_error()
    {
        Result result = Run("otto", ["demo", "--no-such-option"]);
        Assert.That(result.Code, Is.EqualTo(2));
        Assert.That(result.Errors, Does.Contain("--no-such-option"));
    }

    [Test]
    public void A_result_file_that_cannot_be_written_fails_before_the_work()
    {
        Result result = Run("otto", ["demo", MakeFiles(1), "--json", "/no/such/directory/result.json"]);
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Errors, Does.Contain("/no/such/directory").And.Not.Contain("vision"));
    }

    [Test]
    public void An_empty_directory_is_no_work_and_no_error()
    {
        Result result = Run("otto", ["demo", MakeFiles(0), "--json", "-"]);
        Assert.That(result.Code, Is.Zero, result.ToString());
        Assert.That(Outcomes(result.Output).Select(o => (o.Tasks, o.Lost, o.Duplicated)), Is.All.EqualTo((0, 0, 0)));
    }

    [Test]
    public void Odd_files_are_results_too()
    {
        // A FIFO that nobody writes to, a link that leads nowhere, an empty file, and names that no shell would like.
        string files = MakeFiles(2);
        Result made = Bash($"cd '{files}' && mkfifo pipe && ln -s nowhere link && touch empty && printf x > $'new\\nline' && printf y > "
            + $"'grüße \"x\"' && printf z > $'\\xff'");
        Assert.That(made.Code, Is.Zero, made.Errors);
        Result result = Run("otto", ["demo", files, "--json", "-"]);
        Assert.That(result.Code, Is.Zero, result.ToString());
        Assert.That(Outcomes(result.Output).Select(o => (o.Lost, o.Duplicated)), Is.All.EqualTo((0, 0)));
        Assert.That(Outcomes(result.Output).Select(o => o.Tasks), Is.All.EqualTo(14), "two files, a pipe, an empty one, three odd names");
        // .NET cannot remove a name that is not UTF-8.
        Assert.That(Bash($"rm -rf '{files}'").Code, Is.Zero);
    }

    [Test]
    public void An_unreadable_file_is_counted_named_and_not_lost()
    {
        string files = MakeFiles(2);
        Result made = Bash($"cd '{files}' && printf secret > secret && chmod 000 secret");
        Assert.That(made.Code, Is.Zero, made.Errors);
        bool root = Bash("id -u").Output == "0\n";
        // As root the demo is started without the right to override permissions.
        Result result = root
            ? Run("setpriv", ["--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-dac_override,-dac_read_search", "--",
                "otto", "demo", files, "--json", "-"])
            : Run("otto", ["demo", files, "--json", "-"]);
        Assert.That(result.Code, Is.Zero, result.ToString());
        Assert.That(Outcomes(result.Output).Select(o => (o.Tasks, o.Lost)), Is.All.EqualTo((6, 0)));
        Assert.That(result.Errors, Does.Contain("could not be read").And.Contain("secret"));
    }

    [Test]
    public void Nothing_is_left_in_shared_memory()
    {
        Result result = Bash("mkdir -m 700 \"$OTTO_MMAP_DIR/segments\"; OTTO_SHM_DIR=$OTTO_MMAP_DIR/segments otto demo --quick "
            + ">/dev/null 2>&1; echo $?; ls -A \"$OTTO_MMAP_DIR/segments\"");
        Assert.That(result.Output, Is.EqualTo("0\n"));
    }

    [Test]
    public void An_interrupted_run_and_a_killed_one_leave_nothing_for_long()
    {
        Result result = Bash("""
            mkdir -m 700 "$OTTO_MMAP_DIR/segments"; export OTTO_SHM_DIR=$OTTO_MMAP_DIR/segments
            until_started() { until grep -q 'vision [1-9]' "$1"; do kill -0 $pid || exit 9; done; }
            otto demo /usr 2>"$OTTO_MMAP_DIR/first" >&2 & pid=$!
            until_started "$OTTO_MMAP_DIR/first"; kill -TERM $pid; wait $pid; echo "terminated $?"
            ls -A "$OTTO_SHM_DIR"
            otto demo /usr 2>"$OTTO_MMAP_DIR/second" >&2 & pid=$!
            until_started "$OTTO_MMAP_DIR/second"; kill -KILL $pid; wait $pid 2>/dev/null; echo "killed $?"
            otto demo --quick >/dev/null 2>&1; echo "then $?"
            ls -A "$OTTO_SHM_DIR"
            """);
        Assert.That(result.Output, Is.EqualTo("terminated 143\nkilled 137\nthen 0\n"), result.ToString());
    }

    [Test]
    public void A_full_file_system_is_said_with_numbers_and_leaves_nothing()
    {
        string small = Path.Combine(Folder, "small");
        Directory.CreateDirectory(small);
        if (Bash($"mount -t tmpfs -o size=1m,mode=700 tmpfs '{small}'").Code != 0) Assert.Ignore("mounting a small file system needs root");
        try
        {
            Result result = Bash($"OTTO_SHM_DIR='{small}' otto demo '{MakeFiles(1)}'; echo \"$? $(ls -A '{small}')\"");
            Assert.That(result.Output, Is.EqualTo("5 \n"), result.ToString());
            Assert.That(result.Errors, Does.Match(@"needs [\d,]+ bytes and .* has [\d,]+ free"));
        }
        finally
        {
            Bash($"umount '{small}'");
        }
    }

    private string MakeFiles(int count)
    {
        string directory = Path.Combine(Folder, "files");
        Directory.CreateDirectory(directory);
        for (int i = 0; i < count; i++) File.WriteAllText(Path.Combine(directory, $"file{i}"), $"the text of file {i}");
        return directory;
    }

    private static Outcome[] Outcomes(string lines) =>
        [.. lines.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(
            line => JsonSerializer.Deserialize<Outcome>(line, JsonSerializerOptions.Web)!)];

    private sealed record Outcome(string Route, int Tasks, double TasksPerSecond, double OverheadP50Us, double OverheadP99Us, int Lost,
        int Duplicated, double? RatioToRedis = null);
}
