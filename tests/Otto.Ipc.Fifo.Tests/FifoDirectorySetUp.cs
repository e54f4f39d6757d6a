namespace Otto.Ipc.Fifo.Tests;

// What is opened without saying where lies in a directory of this run, and not in the user's own.

[SetUpFixture]
internal sealed class FifoDirectorySetUp
{
    private readonly string _path = $"/dev/shm/otto-fifo-test-{Environment.ProcessId}";

    [OneTimeSetUp]
    public void Name() => Environment.SetEnvironmentVariable("OTTO_FIFO_DIR", _path);

    [OneTimeTearDown]
    public void Remove()
    {
        if (!Directory.Exists(_path)) return;
        Assert.That(Directory.GetFileSystemEntries(_path), Is.Empty, "left behind");
        Directory.Delete(_path);
    }
}
