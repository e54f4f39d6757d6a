using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Tests.Faults;

// The fault lab's short form: planted bugs first, then every fault point of the library once with SIGKILL and once with SIGSTOP.

[TestFixture]
[Parallelizable]
public sealed class FaultLabTests
{
    [Test]
    public void Every_order_of_the_steps_of_a_slot_is_whole_in_the_model_and_every_planted_bug_is_found()
    {
        if (!RuntimeInformation.IsOSPlatform(OSPlatform.Linux)) Assert.Ignore("the model is checked on Linux");
        string root = DocumentExamples.Root;
        var start = new ProcessStartInfo(Path.Combine(root, "eng", "faults"))
        {
            RedirectStandardError = true, RedirectStandardOutput = true,
        };
        start.ArgumentList.Add("--model");
        start.ArgumentList.Add("--short");
        using Process model = Process.Start(start)!;
        Task<string> words = model.StandardError.ReadToEndAsync();
        string table = model.StandardOutput.ReadToEnd();
        model.WaitForExit();
        if (model.ExitCode == 3) Assert.Ignore(words.Result);
        Assert.That(model.ExitCode, Is.Zero, words.Result + table);
        Assert.That(table.Split('\n').Count(static line => line.EndsWith("holds", StringComparison.Ordinal)), Is.GreaterThan(3));
    }

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
