using System.Security.Cryptography;
using System.Text;

namespace Otto.Queue.Redis.Tests;

/// <summary>Scripts are called by the hash that the server computes itself.</summary>
internal sealed class ScriptHashTests
{
    [Test]
    public void A_scripts_hash_is_its_sha1()
    {
        // Around the sizes where the padding takes another block, and beyond ASCII.
        string[] scripts = [.. Enumerable.Range(0, 200).Select(static n => new string('x', n)),
            new string('é', 1000), RedisScripts.Pulse.Text];
#pragma warning disable CA5350 // The server's own choice.
        Assert.That(scripts.Select(ScriptHash.Of),
            Is.EqualTo(scripts.Select(static s => Convert.ToHexStringLower(SHA1.HashData(Encoding.UTF8.GetBytes(s))))));
#pragma warning restore CA5350
    }
}
