namespace Otto.Tools.Tests;

// The tools that scripts start often are native programs, and say what their managed builds say.

internal sealed class NativeToolTests : ToolTest
{
    private static readonly string[] Small = ["otto-mmap-read", "otto-mmap-write", "otto-progress"];

    [TestCaseSource(nameof(Small))]
    public void A_small_tool_is_one_native_file(string tool)
    {
        RequireNative();
        string path = Path.Combine(ToolFolder(), tool);
        byte[] program = File.ReadAllBytes(path);
        Assert.That(program.AsSpan(0, 4).SequenceEqual("\u007fELF"u8), "it is a program of Linux");
        Assert.That(program.AsSpan().IndexOf("hostfxr"u8), Is.Negative, "it needs no installed .NET");
        Assert.That(File.Exists(path + ".dll") || File.Exists(path + ".runtimeconfig.json"), Is.False, "nothing else belongs to it");
    }

    [Test]
    public void The_search_for_the_host_finds_it_in_a_managed_program() =>
        Assert.That(File.ReadAllBytes(Managed(Small[0])).AsSpan().IndexOf("hostfxr"u8), Is.Positive);

    [TestCaseSource(nameof(Small))]
    public void A_native_tool_prints_what_its_managed_build_prints(string tool)
    {
        RequireNative();
        string[] lines =
        [
            "--help", "--version", "", "--bogus", "../t key", "t --timeout soon", "t key --json-value '{'", "t key x --size many",
            "t key 'ä \"quoted\"' --path $OTTO_MMAP_DIR/r", "t --path $OTTO_MMAP_DIR/r", "t key --json --path $OTTO_MMAP_DIR/r",
            "t key --path $OTTO_MMAP_DIR", "t key --path /none/none", "1 2 text --socket /none/none",
        ];
        foreach (string line in lines)
        {
            Result native = Bash($"{tool} {line} </dev/null"), managed = Bash($"{Managed(tool)} {line} </dev/null");
            Assert.That(WithoutCommit(native), Is.EqualTo(WithoutCommit(managed)), $"{tool} {line}");
        }
    }

    [Test]
    public void A_tool_runs_without_dotnet()
    {
        RequireNative();
        string tools = ToolFolder();
        Result result = Bash($"cd {tools}; PATH=/none; ./otto-mmap-write t key value; ./otto-mmap-read t key; ./otto-progress 1 2 text");
        Assert.That(result.ToString(), Is.EqualTo("exit 0\nvalue\n\n"));
    }

    // The first line of eng/build's stamp says what it could build.
    private static void RequireNative()
    {
        if (File.ReadLines(Path.Combine(ToolFolder(), ".built")).First() == "native: none")
            Assert.Ignore("no native linker is installed: apt-get install gcc libc6-dev");
    }

    private static string Managed(string tool) =>
        Path.Combine(ToolFolder(), "..", "..", "tools", tool, "bin", Configuration(), "net10.0", tool);

    private static string Configuration() => Path.GetFileName(Path.GetDirectoryName(AppContext.BaseDirectory.TrimEnd('/')))!;

    // A version ends in the commit that it was built from.
    private static (int, string, string) WithoutCommit(Result result) => (result.Code, result.Output.Split('+')[0], result.Errors);
}
