using Otto.Ipc.Conformance;

namespace Otto.Ipc.Files.Tests.Streams;

// A disk that is full to the last byte: receiving is what makes room, so it must work.

[Parallelizable]
public sealed class FullDiskTests
{
    [Test]
    public void A_receiver_that_begins_on_a_full_disk_receives_everything_that_was_sent()
    {
        using var workspace = new TestWorkspace();
        Directory.CreateDirectory(workspace.Directory);
        using PeerProcess peer = workspace.StartIn(Namespaces.SmallMemory(workspace.Directory, 2 << 20), "full-stream", "frames");
        string[] words = peer.WaitFor("received").Split(' ');
        Assert.That(words[1], Is.EqualTo(words[3]));
        Assert.That(int.Parse(words[3], System.Globalization.CultureInfo.InvariantCulture), Is.GreaterThan(100));
        Assert.That(peer.WaitFor("refused"), Does.Contain("are free there"));
        Assert.That(peer.WaitForExit(), Is.Zero, peer.Errors);
    }
}
