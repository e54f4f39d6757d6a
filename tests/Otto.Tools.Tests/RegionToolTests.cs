using System.Diagnostics;

namespace Otto.Tools.Tests;

// otto-mmap-write and otto-mmap-read as a shell script uses them.

internal sealed class RegionToolTests : ToolTest
{
    [Test]
    public void A_script_writes_and_its_pipelines_read()
    {
        Result result = Bash("""
            set -e
            otto-mmap-write build step compile
            otto-mmap-write build progress --json-value '{"done":3,"of":10}'
            otto-mmap-write build count 17 --json-value
            git --version >/dev/null 2>&1 || true
            printf 'two\nlines\n' | otto-mmap-write build text
            echo '[1, 2.50]' | otto-mmap-write build list --json-value -
            otto-mmap-read build step
            echo "of $(otto-mmap-read build | jq -c .progress.of)"
            (otto-mmap-read build text)
            otto-mmap-read build
            ls "$OTTO_MMAP_DIR" | wc -l
            """);
        Assert.That(result.Code, Is.Zero, result.Errors);
        Assert.That(result.Output,
            Is.EqualTo("compile\nof 10\ntwo\nlines\n{\"step\":\"compile\",\"progress\":{\"done\":3,\"of\":10},\"count\":17,"
                + "\"text\":\"two\\nlines\",\"list\":[1,2.50]}\n1\n"));
    }

    [Test]
    public void Python_reads_what_the_tool_wrote_and_the_tool_reads_what_python_wrote()
    {
        Result result = Bash("""
            set -e
            export OTTO_MMAP_PATH=$OTTO_MMAP_DIR/exact
            otto-mmap-write build name 'grüße "x"'
            python3 - <<'PY'
            import json, mmap, os, struct
            with open(os.environ["OTTO_MMAP_PATH"], "r+b") as f:
                m = mmap.mmap(f.fileno(), 0)
                n, = struct.unpack("<I", m[:4])
                o = json.loads(m[4:4 + n].decode())
                assert o == {"name": 'grüße "x"'}, o
                o["python"] = "straße"
                b = json.dumps(o, ensure_ascii=False).encode()
                m[:4] = struct.pack("<I", len(b)); m[4:4 + len(b)] = b
            PY
            otto-mmap-read build python
            otto-mmap-write build again 1
            otto-mmap-read build
            """);
        Assert.That(result.ToString(),
            Is.EqualTo("exit 0\nstraße\n{\"name\":\"grüße \\\"x\\\"\",\"python\":\"straße\",\"again\":\"1\"}\n\n"));
    }

    [Test]
    public void Tools_that_write_different_keys_at_once_lose_nothing()
    {
        Result result = Bash("""
            otto-mmap-write build start 0
            for i in $(seq 12); do otto-mmap-write build "key$i" "$i" & done
            wait
            otto-mmap-read build | jq 'length'
            """);
        Assert.That(result.ToString(), Is.EqualTo("exit 0\n13\n\n"));
    }

    [TestCase("otto-mmap-read none", 3)]
    [TestCase("otto-mmap-read none --path /dev/shm/none/none", 3)]
    [TestCase("otto-mmap-read none --default x", 0)]
    [TestCase("otto-mmap-read t none", 1)]
    [TestCase("otto-mmap-read t none --default x", 0)]
    [TestCase("otto-mmap-read t none --timeout 0.05", 124)]
    [TestCase("otto-mmap-read none --timeout 0.05", 124)]
    [TestCase("otto-mmap-read t --follow --timeout 0.05", 124)]
    [TestCase("otto-mmap-read", 2)]
    [TestCase("otto-mmap-read ../t", 2)]
    [TestCase("otto-mmap-read t key --bogus", 2)]
    [TestCase("otto-mmap-read --bogus t", 2)]
    [TestCase("otto-mmap-read t a b", 2)]
    [TestCase("otto-mmap-read t --timeout soon", 2)]
    [TestCase("otto-mmap-read t --pid 0", 2)]
    [TestCase("OTTO_PID=x otto-mmap-read t", 2)]
    [TestCase("otto-mmap-read --help", 0)]
    [TestCase("otto-mmap-read --version", 0)]
    [TestCase("otto-mmap-write t", 2)]
    [TestCase("otto-mmap-write t key --bogus", 2)]
    [TestCase("otto-mmap-write t 'two words' x", 2)]
    [TestCase("otto-mmap-write t key --json-value '{'", 2)]
    [TestCase("otto-mmap-write t key value --json-value 1", 2)]
    [TestCase("otto-mmap-write t key x --size 7", 2)]
    [TestCase("otto-mmap-write t key x --size many", 2)]
    [TestCase("printf '\\377' | otto-mmap-write t key", 2)]
    [TestCase("otto-mmap-write t key -5", 0)]
    [TestCase("otto-mmap-write t key -- --dashes", 0)]
    [TestCase("otto-mmap-write t key @file", 0)]
    [TestCase("otto-mmap-write t key ''", 0)]
    [TestCase("head -c 70000 /dev/zero | tr '\\0' x | otto-mmap-write t key", 5)]
    [TestCase("otto-mmap-write t key x --path /none/none", 1)]
    [TestCase("ln -s $OTTO_MMAP_DIR/there $OTTO_MMAP_DIR/link; otto-mmap-write t key x --path $OTTO_MMAP_DIR/link", 4)]
    [TestCase("otto-mmap-read t --path $OTTO_MMAP_DIR", 4)]
    [TestCase("printf '\\377\\377\\377\\377' > $OTTO_MMAP_DIR/bad; otto-mmap-read t --path $OTTO_MMAP_DIR/bad", 1)]
    public void The_exit_code_shows_what_happened(string command, int code)
    {
        Result result = Bash($"otto-mmap-write t there 1\n{command}");
        Assert.That(result.Code, Is.EqualTo(code), result.ToString());
        Assert.That(result.Errors, code == 0 ? Is.Empty : Does.Match("^otto-mmap-(read|write): "));
    }

    [Test]
    public void Another_users_region_is_denied()
    {
        Result result = Bash(
            "otto-mmap-write t key x; [ $(id -u) = 0 ] || exit 99; chown 65534 $OTTO_MMAP_DIR/otto-*-t; otto-mmap-read t key");
        if (result.Code == 99) Assert.Ignore("needs root, to give a file away");
        Assert.That(result.Code, Is.EqualTo(4), result.ToString());
        Assert.That(result.Errors, Does.Contain("65534"));
    }

    [Test]
    public void A_value_too_big_is_refused_with_both_sizes_and_the_old_one_stays()
    {
        Result result = Bash("otto-mmap-write t key old --size 1K; otto-mmap-write t key $(head -c 2000 /dev/zero | tr '\\0' x); echo "
            + "$?; otto-mmap-read t key");
        Assert.That(result.Output, Is.EqualTo("5\nold\n"));
        Assert.That(result.Errors, Does.Contain("2,010").And.Contain("1,024"));
    }

    [Test]
    public void A_full_file_system_is_said_with_both_sizes_and_nothing_is_left()
    {
        Result result = Bash("mkdir $OTTO_MMAP_DIR/small; mount -t tmpfs -o size=1m tmpfs $OTTO_MMAP_DIR/small || exit 99; "
            + "OTTO_MMAP_DIR=$OTTO_MMAP_DIR/small otto-mmap-write t key x --size 1M; code=$?; ls -A $OTTO_MMAP_DIR/small; umount "
            + "$OTTO_MMAP_DIR/small; exit $code");
        if (result.Code == 99) Assert.Ignore("mounting a small file system is not allowed here");
        Assert.That(result.Code, Is.EqualTo(5), result.ToString());
        Assert.That(result.Output, Is.Empty);
        Assert.That(result.Errors, Does.Contain("1,048,576").And.Contain("free"));
    }

    [Test]
    public void A_writer_that_gives_up_names_the_holder_of_the_lock()
    {
        Result result = Bash("otto-mmap-write t key x; exec 9<>$(echo $OTTO_MMAP_DIR/otto-*-t); flock 9; otto-mmap-write t key y "
            + "--timeout 0.1; echo $?; otto-mmap-read t key");
        Assert.That(result.Output, Is.EqualTo("124\nx\n"));
        Assert.That(result.Errors, Does.Contain("locked by process"));
    }

    [Test]
    public void Following_prints_each_change_and_ends_with_the_region()
    {
        Bash("otto-mmap-write t key first --path $OTTO_MMAP_DIR/f");
        using Process follower = Start("otto-mmap-read", "t", "key", "--follow", "--path", Path.Combine(Folder, "f"));
        Assert.That(Line(follower), Is.EqualTo("first"));
        Bash("otto-mmap-write t other x --path $OTTO_MMAP_DIR/f; otto-mmap-write t key second --path $OTTO_MMAP_DIR/f");
        Assert.That(Line(follower), Is.EqualTo("second"));
        Bash("""python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.write(b"\x0e\0\0\0" + b"{\"key\":\"last\"}")' $OTTO_MMAP_DIR/f""");
        Assert.That(Line(follower), Is.EqualTo("last"));
        File.Delete(Path.Combine(Folder, "f"));
        Assert.That(follower.WaitForExit(TimeSpan.FromSeconds(30)));
        Assert.That(follower.ExitCode, Is.EqualTo(3));
    }

    [Test]
    public void A_follower_whose_reader_left_ends_without_words()
    {
        Result result = Bash("otto-mmap-write t key x; otto-mmap-read t key --follow | head -n 1; echo ${PIPESTATUS[0]}");
        Assert.That(result.ToString(), Is.EqualTo("exit 0\nx\n0\n\n"));
    }

    [Test]
    public void A_reader_waits_for_the_region_and_the_key()
    {
        Result result = Bash(
            "export OTTO_PID=$$; otto-mmap-read t key --timeout 30 & otto-mmap-write t other 1; otto-mmap-write t key done; wait $!");
        Assert.That(result.ToString(), Is.EqualTo("exit 0\ndone\n\n"));
    }

    [Test]
    public void Json_gives_one_object_a_line()
    {
        Result result = Bash("otto-mmap-write t key 'a \"b\"'; otto-mmap-read t key --json; otto-mmap-read t --json; otto-mmap-read t "
            + "none --json --default d");
        Assert.That(result.Output,
            Is.EqualTo("{\"key\":\"key\",\"value\":\"a \\\"b\\\"\"}\n{\"key\":\"a \\\"b\\\"\"}\n{\"key\":\"none\",\"value\":\"d\"}\n"));
    }

    [Test]
    public void Appending_to_a_file_keeps_what_was_there()
    {
        Result result = Bash("otto-mmap-write t key x; { echo before; otto-mmap-read t key; otto-mmap-read t key; } > "
            + "$OTTO_MMAP_DIR/out; otto-mmap-read t key >> $OTTO_MMAP_DIR/out; cat $OTTO_MMAP_DIR/out");
        Assert.That(result.Output, Is.EqualTo("before\nx\nx\nx\n"));
    }

    [Test]
    public void A_task_may_be_called_as_the_tool_is()
    {
        Result result = Bash("otto-mmap-write otto-mmap-write otto-mmap-write x; otto-mmap-read otto-mmap-write otto-mmap-write");
        Assert.That(result.Output, Is.EqualTo("x\n"));
    }

    [Test]
    public void Help_shows_an_example()
    {
        Assert.That(Bash("otto-mmap-read --help").Output, Does.Contain("Example:").And.Contain("otto-mmap-read build"));
        Assert.That(Bash("otto-mmap-write --help").Output, Does.Contain("Example:").And.Contain("otto-mmap-write build"));
    }

    private static string? Line(Process process)
    {
        Task<string?> line = process.StandardOutput.ReadLineAsync();
        return line.Wait(TimeSpan.FromSeconds(30)) ? line.Result : throw new TimeoutException("the follower said nothing for 30 s");
    }
}
