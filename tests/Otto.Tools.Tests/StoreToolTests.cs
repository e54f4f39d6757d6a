namespace Otto.Tools.Tests;

// otto get, set, del, list and watch without a server: over files and over shared memory, with the words that the server's users know.

internal sealed class StoreToolTests : ToolTest
{
    [SetUp]
    public void MakePrivate() => File.SetUnixFileMode(Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

    [Test]
    public void A_tasks_keys_are_set_read_listed_and_deleted([Values("mmap", "files")] string scheme)
    {
        Result result = Bash(
            $$"""
            at=(--transport {{scheme}}://{{Folder}})
            otto set build.step compile "${at[@]}"
            otto set build.of --json-value '{"n": [1, 2]}' "${at[@]}"
            printf 'two\nlines\n' | otto set other.text "${at[@]}"
            otto get build.step "${at[@]}"
            otto get build.of "${at[@]}" | jq -c .n
            otto get build.step --json "${at[@]}"
            otto get other.text "${at[@]}"
            otto list 'build.*' "${at[@]}"
            otto del build.step "${at[@]}"; echo $?
            otto del build.step "${at[@]}"; echo $?
            otto get build.step --default none "${at[@]}"
            otto get build.step "${at[@]}"
            """);
        Assert.That(result.Code, Is.EqualTo(1), result.ToString());
        Assert.That(result.Output,
            Is.EqualTo("compile\n[1,2]\n{\"key\":\"build.step\",\"value\":\"compile\"}\ntwo\nlines\nbuild.of\nbuild.step\n0\n1\nnone\n"),
            result.ToString());
        Assert.That(result.Errors, Is.EqualTo("otto: no key 'build.step'\notto: no key 'build.step'\n"));
    }

    [Test]
    public void Changes_are_received_by_their_whole_keys([Values("mmap", "files")] string scheme)
    {
        Result result = Bash(
            $$"""
            at=(--transport {{scheme}}://{{Folder}})
            otto set build.step one "${at[@]}"
            otto watch 'build.*' --snapshot --count 2 "${at[@]}" --timeout 20 > {{Folder}}/heard & watch=$!
            until [[ -s {{Folder}}/heard ]]; do kill -0 $watch || exit 90; done
            otto set build.step two "${at[@]}"
            wait $watch; echo $?
            cat {{Folder}}/heard
            """);
        Assert.That(result.ToString(), Is.EqualTo("exit 0\n0\nSET build.step \"one\"\nSET build.step \"two\"\n\n"));
    }

    [Test]
    public void The_environment_names_the_transport_if_no_option_does()
    {
        Result result = Bash(
            $$"""
            export OTTO_TRANSPORT=files://{{Folder}}/run
            otto set build.step one && otto get build.step && otto get build.step --socket {{Folder}}/none; echo $?
            OTTO_TRANSPORT=fifo: otto get build.step; echo $?
            """);
        Assert.That(result.Output, Is.EqualTo("one\n3\n1\n"), result.ToString());
        Assert.That(result.Errors, Does.Contain("no server").And.Contain("offers no store"));
    }

    [Test]
    public void A_socket_can_be_named_as_a_transport()
    {
        Result result = Bash(
            $$"""
            otto serve --socket {{Folder}}/s > {{Folder}}/ready & server=$!
            until [[ -s {{Folder}}/ready ]]; do kill -0 $server || exit 90; done
            otto set step one --transport uds://{{Folder}}/s
            otto get step --socket {{Folder}}/s
            kill $server; wait $server
            """);
        Assert.That(result.Output, Is.EqualTo("one\n"), result.ToString());
    }

    [TestCase("otto get k --transport files:", 2, "names no task; over files a key is TASK.KEY, such as build.step")]
    [TestCase("otto set .k v --transport mmap:", 2, "names no task; over mmap a key is TASK.KEY, such as build.step")]
    [TestCase("otto list --transport files:", 2, "write TASK.GLOB, such as 'build.*'")]
    [TestCase("otto watch '*.step' --transport files:", 2, "write TASK.GLOB, such as 'build.*'")]
    [TestCase("otto get build.k --transport fifo:", 1, "offers no store, it offers: stream")]
    [TestCase("otto get build.k --transport pigeon:", 2, "there is no transport 'pigeon'")]
    [TestCase("otto get build.k --transport files: --socket /tmp/s", 2, "pass either --socket or --transport, not both")]
    public void Mistakes_say_what_would_be_right(string script, int code, string words)
    {
        Result result = Bash($"export OTTO_SHM_DIR={Folder}; {script}");
        Assert.That(result.Code, Is.EqualTo(code), result.ToString());
        Assert.That(result.Errors, Does.Contain(words));
    }
}
