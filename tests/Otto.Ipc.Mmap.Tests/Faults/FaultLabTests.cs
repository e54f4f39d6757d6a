using System.Diagnostics;
using System.Text.Json;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Tests.Faults;

// The fault lab's short form: planted bugs first, then every fault point of the library once with SIGKILL and once with SIGSTOP.

[TestFixture]
[Parallelizable]
public sealed class FaultLabTests
{
    // A run mostly waits: for a stopped process to lie long enough, and for recovery. So many go on at a time, beside the other tests.
    [Test]
    public void Every_point_of_every_protocol_is_survived_and_every_planted_bug_is_caught()
    {
        string results = Path.GetTempFileName();
        try
        {
            var start = new ProcessStartInfo("dotnet") { RedirectStandardError = true, RedirectStandardOutput = true };
            foreach (string argument in (string[])[Path.Combine(AppContext.BaseDirectory, "Otto.Ipc.FaultLab.dll"), "--short", "--at-once",
                "10", "--json", results]) start.ArgumentList.Add(argument);
            using Process lab = Process.Start(start)!;
            Task<string> words = lab.StandardError.ReadToEndAsync();
            string table = lab.StandardOutput.ReadToEnd();
            lab.WaitForExit();
            Assert.That(lab.ExitCode, Is.Zero, words.Result + table);

            JsonElement[] lines = [.. File.ReadLines(results).Select(line => JsonDocument.Parse(line).RootElement)];
            Assert.That(lines.Where(l => l.TryGetProperty("planted", out _)).Select(l => l.GetProperty("caught").GetBoolean()),
                Is.Not.Empty.And.All.True);
            string[] run = [.. lines.Where(l => l.TryGetProperty("signal", out _) && l.GetProperty("runs").GetInt32() > 0).Select(
                l => $"{l.GetProperty("point")} {l.GetProperty("signal")}")];
            Assert.That(run, Is.SupersetOf(FaultPointNames.All.SelectMany(point => (string[])[$"{point} KILL", $"{point} STOP"])));
        }
        finally
        {
            File.Delete(results);
        }
    }
}
