using System.Text;

namespace Otto.Clients.Tests;

// otto.sh against the real server, by nc and by socat.

[TestFixture("nc")]
[TestFixture("socat")]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class BashStoreTests(string netcat)
{
    private readonly ClientWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Jobs_and_subshells_of_one_script_get_their_own_answers()
    {
        _workspace.Serve();
        ProgramResult result = _workspace.Bash("""
            otto_set start 0
            for job in 1 2 3 4 5 6; do
                for n in 1 2 3 4 5 6 7 8 9 10; do
                    otto_set "k$job" "$job.$n" && [[ $(otto_get "k$job") == "$job.$n" ]] || echo "job $job, step $n"
                done &
            done
            wait
            coproc otto_get start
            read -r value <&"${COPROC[0]}"
            echo "$value"
            """);
        Assert.That((result.Code, result.Output), Is.EqualTo((0, "0\n")), result.ToString());
    }

    [Test]
    public void A_trap_in_the_middle_of_a_call_changes_nothing_of_it()
    {
        _workspace.Serve();
        ProgramResult result = _workspace.Bash("""
            otto_set a 1; otto_set b 2; otto_mmap_set t m 3; REPLY=mine
            # A signal after every step of a call: DEBUG traps run where signals' do.
            at_each() {
                set -T
                trap '[[ -n $inside || " ${FUNCNAME[*]} " != *" otto_"* || " ${FUNCNAME[*]} " == *" _otto_print "* || $BASHPID != $$ ]] ||
                    { inside=1; otto_get b >/dev/null; otto_mmap_get t m >/dev/null; inside=; }' DEBUG
                "$@"
                trap - DEBUG
                set +T
            }
            inside=
            at_each otto_get a
            at_each otto_set c 4
            at_each otto_list
            at_each otto_del c
            otto_list
            OTTO_TASK_NAME=t at_each otto_progress 1 2 half
            at_each otto_mmap_get t m
            echo "$REPLY"
            """, null, ("OTTO_NETCAT", netcat));
        Assert.That((result.Code, result.Output), Is.EqualTo((0, "1\na\nb\nc\na\nb\n3\nmine\n")), result.ToString());
    }

    [Test]
    public void A_script_sets_gets_lists_and_deletes()
    {
        _workspace.Serve();
        ProgramResult result = Bash("""
            set -euo pipefail
            otto_set name 'a.jpg'
            otto_set width 640
            otto_get photo.name
            otto_get photo.name --json
            otto_list
            otto_list '*.w*'
            otto_del photo.name
            otto_list
            otto_del photo.name || echo "code $?"
            otto_get photo.name || echo "code $?"
            otto_get photo.name --default none
            """, ("OTTO_TASK_NAME", "photo"), ("OTTO_TASK", "other"));
        Assert.That(result,
            Is.EqualTo(new ProgramResult(0, "a.jpg\n\"a.jpg\"\nphoto.name\nphoto.width\nphoto.width\nphoto.width\ncode 1\ncode 1\nnone\n",
                "otto_del: there is no key 'photo.name'\notto_get: there is no key 'photo.name'\n")));
    }

    [Test]
    public void The_tasks_name_comes_from_either_variable_or_is_left_out()
    {
        _workspace.Serve();
        Assert.That(Bash("otto_set a 1; OTTO_TASK=two otto_set a 2; otto_list").Output, Is.EqualTo("a\ntwo.a\n"));
    }

    [TestCase("")]
    [TestCase(" ")]
    [TestCase("plain")]
    [TestCase("it's \"quoted\" \\ and \\n and \\u0041 / % %s $HOME `id` * ? [a]")]
    [TestCase("größe 日本語 😀")]
    [TestCase("two\nlines\ttab\rreturn")]
    [TestCase("\u0001\u001f\u007f\b\f end")]
    [TestCase("trailing newline\n")]
    [TestCase("-n")]
    [TestCase("-e x")]
    [TestCase("--json")]
    [TestCase("{\"json\":1}")]
    [TestCase("null")]
    public void A_string_comes_back_as_it_was_set(string text)
    {
        _workspace.Serve();
        // From the environment, since a shell's own quoting is not what is tested here.
        ProgramResult result = Bash("otto_set k -- \"$TEXT\" && otto_get k && otto_get k --json", ("TEXT", text));
        string[] parts = result.Output.Split("\n\"");
        Assert.That((result.Code, parts[0]), Is.EqualTo((0, text)), result.Errors);
        Assert.That(System.Text.Json.JsonDocument.Parse("\"" + parts[1]).RootElement.GetString(), Is.EqualTo(text));
    }

    [Test]
    public void What_jq_cannot_read_or_is_missing_for_fails_with_1_and_words()
    {
        _workspace.Serve();
        ProgramResult result = Bash("""
            otto_set lone --json-value '"\ud800"'; otto_get lone; echo "code $?"
            otto_set escaped $'\x01'
            mkdir bare; for tool in timeout cat tr stat head; do ln -s "$(command -v $tool)" bare; done
            ln -s "$(command -v ${OTTO_NETCAT:-nc})" bare
            PATH=$PWD/bare
            otto_get escaped; echo "code $?"
            printf -v long '%6000s' x
            otto_set long "$long"; echo "code $?"
            otto_set in - <<<x; echo "code $?"
            """);
        Assert.That(result.Output, Is.EqualTo("code 1\ncode 1\ncode 1\ncode 1\n"), result.Errors);
        Assert.That(result.Errors, Does.Contain("jq cannot read the value").And.Contain("needs jq for this value"));
    }

    [Test]
    public void Another_users_server_is_handed_nothing()
    {
        if (_workspace.Run("bash", ["-c", "[ $(id -u) = 0 ]"], null).Code != 0) Assert.Ignore("needs root, to become another user");
        ProgramResult result = Bash("""
            open=$(mktemp -d /tmp/otto-open-XXXXXX); trap 'rm -r $open' EXIT
            chmod 777 $open; export OTTO_SOCKET=$open/s
            setpriv --reuid=65534 --regid=65534 --clear-groups -- nc -lU "$OTTO_SOCKET" > heard & impostor=$!
            until [[ -S $OTTO_SOCKET ]]; do kill -0 $impostor || exit 90; done
            chmod 777 "$OTTO_SOCKET"
            otto_set secret hunter2; echo "code $?"
            kill $impostor; cat heard
            """);
        Assert.That(result.Output, Is.EqualTo("code 4\n"), result.Errors);
        Assert.That(result.Errors, Does.Contain("is another user's"));
    }

    [Test]
    public void A_value_from_standard_input_loses_one_newline_at_its_end()
    {
        _workspace.Serve();
        Assert.That(Bash("""
            printf 'one\ntwo\n\n' | otto_set a
            printf 'größe' | otto_set b -
            printf '[1,\n 2]\n' | otto_set c --json-value
            otto_get a; otto_get b; otto_get c
            """).Output, Is.EqualTo("one\ntwo\n\ngröße\n[1,  2]\n"));
    }

    [Test]
    public void Json_is_kept_as_it_is()
    {
        _workspace.Serve();
        Assert.That(Bash("""
            otto_set a --json-value '{"n":12345678901234567890,"f":1.50,"s":"x\\ny"}'
            otto_set b --json-value null
            otto_set c true --json-value
            otto_get a; otto_get b; otto_get c
            """).Output, Is.EqualTo("{\"n\":12345678901234567890,\"f\":1.50,\"s\":\"x\\\\ny\"}\nnull\ntrue\n"));
    }

    [Test]
    public void Progress_is_a_key_of_the_task()
    {
        _workspace.Serve();
        ProgramResult result =
            Bash("otto_progress 3 10 $'half\\nway' && otto_progress 4 && otto_get photo.progress", ("OTTO_TASK_NAME", "photo"));
        Assert.That((result.Code, result.Errors), Is.EqualTo((0, "")));
        Assert.That(result.Output, Does.Contain("4").And.Not.Contain("half"));
    }

    [Test]
    public void Without_a_server_all_say_so_but_progress()
    {
        Assert.That(Bash("otto_get a").Code, Is.EqualTo(3));
        Assert.That(Bash("otto_set a 1"),
            Is.EqualTo(new ProgramResult(3, "",
                $"otto_set: no server: there is no socket {_workspace.SocketPath}; start one with otto serve, or name it in "
                + "OTTO_SOCKET\n")));
        Assert.That(Bash("otto_progress 1 2", ("OTTO_TASK", "t")), Is.EqualTo(new ProgramResult(0, "", "")));
        // A socket that a killed server left.
        _workspace.Serve();
        _workspace.KillServer();
        Assert.That(Bash("otto_list"),
            Is.EqualTo(new ProgramResult(3, "", $"otto_list: no server answers at {_workspace.SocketPath}\n")));
        Assert.That(Bash("otto_progress 1 2", ("OTTO_TASK", "t")), Is.EqualTo(new ProgramResult(0, "", "")));
    }

    [Test]
    public void A_server_that_does_not_answer_ends_in_124()
    {
        _workspace.ServeSilence();
        ProgramResult result = Bash("otto_get a", ("OTTO_TIMEOUT", "0.3"));
        Assert.That((result.Code, result.Errors), Is.EqualTo((124, $"otto_get: {_workspace.SocketPath} did not answer within 0.3 s\n")));
    }

    [Test]
    public void What_cannot_be_a_key_never_reaches_the_server()
    {
        _workspace.Serve();
        ProgramResult result = Bash("""
            otto_set precious 1
            for key in '' 'a b' $'a\nDELETE precious' $'a\tb' "$(printf 'k%.0s' {1..251})"; do
              otto_get "$key"; echo $?
              otto_set "$key" 1; echo $?
              otto_del "$key"; echo $?
            done
            otto_list $'*\nDELETE precious'; echo $?
            otto_get precious
            OTTO_TASK=t otto_set "$(printf 'k%.0s' {1..250})" 2 && otto_get "t.$(printf 'k%.0s' {1..250})"
            """);
        Assert.That(result.Output, Is.EqualTo(string.Concat(Enumerable.Repeat("2\n", 16)) + "1\n2\n"));
    }

    [Test]
    public void Wrong_use_and_failure_have_different_codes()
    {
        _workspace.Serve();
        foreach (string wrong in (string[])["otto_get", "otto_get a b", "otto_get a --no-such", "otto_get a --default", "otto_get a --all",
            "otto_set", "otto_set a b c", "otto_set a --json-value ''", "otto_set a --json-value '{\"half\":'",
            "otto_set a --json-value '1 2'", "otto_set a --", "otto_del", "otto_del a b", "otto_list a b", "otto_progress",
            "otto_progress x", "otto_progress 1 x", "otto_progress 1 2", "OTTO_TIMEOUT=soon otto_get a", "OTTO_TIMEOUT=0 otto_get a",
            "OTTO_TIMEOUT=0 otto_mmap_set t a 1"])
        {
            ProgramResult result = Bash(wrong + " < /dev/null");
            Assert.That(result.Code, Is.EqualTo(2), $"{wrong}: {result}");
            Assert.That(result.Errors,
                Does.StartWith(wrong.Split(' ').First(word => word.StartsWith("otto_", StringComparison.Ordinal)) + ": "));
        }
    }

    [Test]
    public void A_value_over_the_servers_limit_is_too_big()
    {
        _workspace.Serve("value=1000");
        ProgramResult result = Bash("otto_set a 1; otto_set a \"$(printf 'x%.0s' {1..2000})\"; echo $?; otto_get a");
        Assert.That(result.Output, Is.EqualTo("5\n1\n"));
        Assert.That(result.Errors, Does.Contain("TOOBIG"));
    }

    [Test]
    public void A_megabyte_goes_there_and_back()
    {
        _workspace.Serve();
        string value = string.Concat(Enumerable.Range(0, 100_000).Select(i => $"{i % 10_000:0000} \"\n"));
        Assert.That(_workspace.Bash($"export OTTO_NETCAT={netcat}; otto_set a && otto_get a", value).Output, Is.EqualTo(value));
    }

    [Test]
    public void Many_keys_are_listed_one_a_line()
    {
        _workspace.Serve();
        ProgramResult result = Bash("""
            { for i in {1000..3999}; do echo "SET k.$i $i"; done; echo 'SET "odd\,"," 1'; echo QUIT; } | nc -N -U "$OTTO_SOCKET" > /dev/null
            otto_list 'k.*' | wc -l
            otto_list 'k.100*'
            otto_list '"*'
            """);
        Assert.That(result.Output,
            Is.EqualTo("3000\n" + string.Concat(Enumerable.Range(1000, 10).Select(i => $"k.{i}\n")) + "\"odd\\,\",\"\n"));
    }

    [Test]
    public void A_loop_that_reads_keeps_its_input()
    {
        _workspace.Serve();
        Assert.That(Bash("""
            while read -r key; do
              otto_set "$key" "v-$key"; otto_get "$key"; otto_list "$key" > /dev/null; otto_progress 1 2
            done < <(printf 'a\nb\nc\n')
            """, ("OTTO_TASK", "")).Output, Is.EqualTo("v-a\nv-b\nv-c\n"));
    }

    [Test]
    public void It_works_under_every_strictness_and_in_subshells()
    {
        _workspace.Serve();
        ProgramResult result = Bash("""
            set -euo pipefail
            shopt -s nullglob failglob inherit_errexit
            IFS=,
            otto_set list 'a,b'
            x=$(otto_get list)
            (otto_get list)
            echo "$x" | cat
            if ! otto_get nothing 2> /dev/null; then echo missing; fi
            otto_get nothing 2> /dev/null
            echo not reached
            """);
        Assert.That((result.Code, result.Output), Is.EqualTo((1, "a,b\na,b\nmissing\n")), result.Errors);
    }

    [Test]
    public void Nothing_but_its_functions_comes_into_the_script()
    {
        _workspace.Serve();
        ProgramResult result = Bash("""
            compgen -v | sort > before
            otto_set a 1; otto_get a > /dev/null; otto_list > /dev/null; otto_mmap_set t a 1; otto_mmap_get t a > /dev/null
            compgen -v | sort > after
            comm -13 before after | grep -v -x -e REPLY -e '_otto_.*' -e BASH_REMATCH -e PIPESTATUS -e _
            """);
        Assert.That(result.Output, Is.Empty);
    }

    private ProgramResult Bash(string script, params (string Name, string Value)[] environment) =>
        _workspace.Bash(script, null, [("OTTO_NETCAT", netcat), .. environment]);
}
