using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Processes;

/// <summary>What a program that uses shared memory and files needs of its system: OpenSSL is not part of it.</summary>
internal sealed class NativeLibraryTests : QueueTest
{
    [Test]
    public async Task A_queue_a_loan_a_region_and_a_queue_of_files_load_no_openssl()
    {
        using PeerProcess peer = PeerProcess.Start("maps", Segments, "jobs");
        await peer.SaysAsync("looked");
        Assert.That(peer.Lines, Is.EqualTo(new[] { "looked" }));
    }

    [Test]
    public async Task A_program_that_loads_openssl_is_noticed()
    {
        Dictionary<string, string> environment = new() { ["OTTO_PEER_LOADS_OPENSSL"] = "1" };
        using PeerProcess peer = PeerProcess.Start(environment, "maps", Segments, "jobs");
        await peer.SaysAsync("looked");
        Assert.That(peer.Said("mapped "), Is.GreaterThan(0));
    }
}
