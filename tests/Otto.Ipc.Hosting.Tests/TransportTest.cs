namespace Otto.Ipc.Hosting.Tests;

/// <summary>A test with a directory for the transports that it opens, and no transport left
/// in the environment.</summary>
[NonParallelizable]
public abstract class TransportTest
{
    protected string Folder { get; private set; } = "";

    [SetUp]
    public void MakeFolder() => Folder = Directory.CreateTempSubdirectory("otto-hosting-").FullName;

    [TearDown]
    public void RemoveFolder()
    {
        Environment.SetEnvironmentVariable(OttoTransport.EnvironmentVariable, null);
        Directory.Delete(Folder, recursive: true);
    }

    protected string AddressOf(string scheme) => $"{scheme}://{Folder}/{(scheme == "uds" ? "otto.sock" : scheme)}";
}
