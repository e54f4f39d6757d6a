using System.Buffers;
using System.CommandLine;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Otto.Ipc.Mmap;
using Otto.Ipc.Mmap.Inspection;

namespace Otto.Tools.Doctor;

// otto doctor: checks the machine for what programs need, and prints what to change. It changes and removes nothing.

internal static class DoctorCommand
{
    private static readonly JsonWriterOptions JsonOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static Command Create()
    {
        var directory = new Option<string?>("--dir")
        {
            Description = $"The directory of segments. Default: OTTO_SHM_DIR, else {SystemPaths.SharedMemory}/otto-<uid>.",
            HelpName = "DIR",
        };
        var redis = new Option<string?>("--redis")
        {
            Description = "Also check this Redis server, such as localhost:6379,password=... Default: OTTO_REDIS; none for none.",
            HelpName = "SERVER",
        };
        var json = new Option<bool>("--json") { Description = "Print one JSON object per line." };
        var command = new Command(
            "doctor",
            """
            Checks this machine: the directory of segments, space, limits, the kernel, what ended programs left over, the
            session, the container, the environment variables, and a Redis server. Changes and removes nothing.

            Each line begins with ok, note or problem. The line below it is what to change. The exit code is 0 if there is
            no problem, and 1 if something must be changed.

            Example:
              otto doctor --redis localhost:6379
              otto doctor --json | jq -r 'select(.level == "problem") | .change'
            """) { directory, redis, json };
        command.SetAction(async (parsed, stop) =>
        {
            var inspector = new MmapInspector(new MmapTransportOptions { Directory = parsed.GetValue(directory) });
            string? server = parsed.GetValue(redis) ?? Environment.GetEnvironmentVariable("OTTO_REDIS");
            List<Finding> findings = [.. CheckMachine(inspector)];
            if (server is { Length: > 0 } and not "none") findings.AddRange(await RedisCheck.RunAsync(server, stop));
            if (parsed.GetValue(json)) findings.ForEach(PrintJson);
            else Print(findings);
            return findings.Any(static f => f.Level == FindingLevel.Problem) ? ExitCode.Failed : ExitCode.Done;
        });
        return command;
    }

    private static IEnumerable<Finding> CheckMachine(MmapInspector inspector)
    {
        string directory = inspector.Directory;
        IReadOnlyList<SegmentReport>? reports = TryList(inspector);
        return [.. DirectoryCheck.Run(directory), .. SpaceCheck.Run(directory, reports), .. LimitCheck.Run(directory),
            .. KernelCheck.Run(directory), .. LeftoverCheck.Run(reports), .. SessionCheck.Run(directory),
            .. ContainerCheck.Run(directory), .. VariableCheck.Run()];
    }

    // Without it, the check of the directory reports why.
    private static IReadOnlyList<SegmentReport>? TryList(MmapInspector inspector)
    {
        try
        {
            return inspector.List();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static void Print(List<Finding> findings)
    {
        foreach (Finding finding in findings)
        {
            string level = finding.Level switch { FindingLevel.Ok => "ok", FindingLevel.Note => "note", _ => "problem" };
            Console.WriteLine($"{level,-8} {finding.Area,-10} {finding.Text}");
            if (finding.Change is { } change) Console.WriteLine($"{"",-8} {"",-10} change: {change}");
        }

        int problems = findings.Count(static f => f.Level == FindingLevel.Problem),
            notes = findings.Count(static f => f.Level == FindingLevel.Note);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{problems:N0} {(problems == 1 ? "problem" : "problems")}, {notes:N0} {(notes == 1 ? "note" : "notes")}"));
    }

    private static void PrintJson(Finding finding)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, JsonOptions))
        {
            writer.WriteStartObject();
            writer.WriteString("level", finding.Level switch { FindingLevel.Ok => "ok", FindingLevel.Note => "note", _ => "problem" });
            writer.WriteString("area", finding.Area);
            writer.WriteString("check", finding.Check);
            writer.WriteString("text", finding.Text);
            if (finding.Value is { } value) writer.WriteNumber("value", value);
            if (finding.Change is { } change) writer.WriteString("change", change);
            writer.WriteEndObject();
        }

        StandardOutput.WriteLine(buffer.WrittenSpan);
    }
}
