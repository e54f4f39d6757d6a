using Otto.Ipc.Mmap.Regions;
using Otto.Ipc.Platform;
using Otto.Ipc.Platform.Linux;

namespace Otto.Ipc.Mmap.Tests.Regions;

// Which file is meant: the option, the environment, or the nearest ancestor that has the region.

[NonParallelizable]
internal sealed class RegionLocationTests : RegionTest
{
    private static readonly string[] Variables = [RegionLocation.PathVariable, RegionLocation.DirectoryVariable,
        RegionLocation.ProcessVariable];

    private readonly Dictionary<string, string?> _before = [];

    [SetUp]
    public void ClearVariables()
    {
        foreach (string name in Variables)
        {
            _before[name] = Environment.GetEnvironmentVariable(name);
            Environment.SetEnvironmentVariable(name, null);
        }

        Environment.SetEnvironmentVariable(RegionLocation.DirectoryVariable, Folder);
    }

    [TearDown]
    public void RestoreVariables()
    {
        foreach (string name in Variables) Environment.SetEnvironmentVariable(name, _before[name]);
    }

    [Test]
    public void The_nearest_process_that_has_the_region_is_the_run()
    {
        int parent = ProcessIdentity.ParentOf(Environment.ProcessId), grandparent = ProcessIdentity.ParentOf(parent);
        var location = new RegionLocation("build");
        Assert.That(location.Find(), Is.Null);
        Assert.That(location.FindOrName(), Is.EqualTo(PathOf(parent)), "a write that makes it makes the parent's");

        File.WriteAllText(PathOf(grandparent), "");
        Assert.That(location.Find(), Is.EqualTo(PathOf(grandparent)));
        File.WriteAllText(PathOf(parent), "");
        Assert.That(location.Find(), Is.EqualTo(PathOf(parent)));
        File.WriteAllText(PathOf(Environment.ProcessId), "");
        Assert.That(location.Find(), Is.EqualTo(PathOf(Environment.ProcessId)));
    }

    [Test]
    public void Options_count_before_the_environment()
    {
        Environment.SetEnvironmentVariable(RegionLocation.ProcessVariable, "12");
        Assert.That(new RegionLocation("build").Find(), Is.EqualTo(PathOf(12)));
        Environment.SetEnvironmentVariable(RegionLocation.PathVariable, "/exact/file");
        Assert.That(new RegionLocation("build").Find(), Is.EqualTo("/exact/file"));
        Assert.That(new RegionLocation("build") { ProcessId = 13 }.Find(), Is.EqualTo(PathOf(13)));
        Assert.That(new RegionLocation("build") { ProcessId = 13, FilePath = "/given" }.Find(), Is.EqualTo("/given"));
        Assert.That(new RegionLocation("build") { ProcessId = 13, Directory = "/else" }.Find(), Is.EqualTo("/else/otto-13-build"));
    }

    [TestCase("0")]
    [TestCase("-4")]
    [TestCase("x")]
    [TestCase("99999999999")]
    public void A_pid_that_is_none_is_refused(string text)
    {
        Environment.SetEnvironmentVariable(RegionLocation.ProcessVariable, text);
        Assert.That(() => new RegionLocation("build").Find(),
            Throws.ArgumentException.With.Message.Contains(RegionLocation.ProcessVariable));
    }

    [TestCase("12 (bash) S 7 12 12", 7)]
    [TestCase("12 (a (b) c) d) R 8 12", 8)]
    [TestCase("12 (x) 1 2) T 9 12", 9)]
    [TestCase("", 0)]
    [TestCase("12 (bash", 0)]
    public void A_programs_name_does_not_confuse_the_search_for_its_parent(string stat, int parent) =>
        Assert.That(LinuxProcess.ParentIn(stat), Is.EqualTo(parent));

    [Test]
    public void A_name_is_never_a_path() => Assert.That(() => new RegionLocation("../build"), Throws.ArgumentException);

    private string PathOf(int pid) => Path.Combine(Folder, $"otto-{pid}-build");
}
