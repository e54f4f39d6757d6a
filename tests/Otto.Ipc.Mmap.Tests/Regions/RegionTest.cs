using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using Otto.Ipc.Mmap.Regions;

namespace Otto.Ipc.Mmap.Tests.Regions;

// A directory of its own for each test, which must hold nothing but what the test made when it ends.

[TestFixture]
internal abstract class RegionTest
{
    protected string Folder { get; private set; } = "";

    protected string FilePath => Path.Combine(Folder, "region");

    protected RegionLocation Location => new("test") { FilePath = FilePath };

    [SetUp]
    public void MakeFolder()
    {
        Folder = $"/dev/shm/otto-region-test-{Environment.ProcessId}-{TestContext.CurrentContext.Test.ID}";
        Directory.CreateDirectory(Folder);
    }

    [TearDown]
    public void RemoveFolder()
    {
        string[] left = Directory.GetFileSystemEntries(Folder, ".*");
        Directory.Delete(Folder, recursive: true);
        Assert.That(left, Is.Empty, "hidden files were left behind");
    }

    /// <summary>What a program knows that knows nothing but the documented front.</summary>
    protected static JsonElement ForeignRead(string path)
    {
        byte[] bytes = File.ReadAllBytes(path);
        return JsonElement.Parse(bytes.AsSpan(4, (int)BinaryPrimitives.ReadUInt32LittleEndian(bytes)));
    }

    /// <summary>Writes the front in place, as such a program does.</summary>
    protected static void ForeignWrite(string path, string json)
    {
        byte[] text = Encoding.UTF8.GetBytes(json);
        byte[] length = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(length, (uint)text.Length);
        using FileStream file = File.OpenWrite(path);
        file.Write(length);
        file.Write(text);
    }

    protected static RegionState StateOf(string path)
    {
        using RegionFile file = RegionFile.TryOpen(path, forWriting: false)!;
        return RegionReader.Trailer(file, out _)!.Value.State;
    }
}
