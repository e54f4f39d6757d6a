using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Otto.Ipc.Mmap.Inspection;

namespace Otto.Tools.Ipc;

// Segments for programs: one object a line. Ages are in seconds, sizes in bytes.

internal static class SegmentJson
{
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static void Print(List<SegmentSnapshot> snapshots)
    {
        foreach (SegmentSnapshot snapshot in snapshots)
        {
            PrintLine(json =>
            {
                Segment(json, snapshot.Report);
                if (snapshot.Rates is { } rates) Rates(json, rates);
            });
        }
    }

    public static void Print(CleanReport report, bool dryRun) => PrintLine(json =>
    {
        json.WriteString("name", report.Segment.Name);
        json.WriteString("shape", SegmentFormatter.Shape(report.Segment.Kind));
        json.WriteString("path", report.Segment.Path);
        json.WriteNumber("bytes", report.Segment.Bytes);
        json.WriteBoolean("removed", report.Removed && !dryRun);
        if (dryRun) json.WriteBoolean("wouldRemove", report.Removed);
        json.WriteString("reason", report.Reason);
    });

    private static void Segment(Utf8JsonWriter json, SegmentReport report)
    {
        json.WriteString("name", report.Name);
        json.WriteString("shape", SegmentFormatter.Shape(report.Kind));
        json.WriteString("path", report.Path);
        json.WriteNumber("bytes", report.Bytes);
        json.WriteNumber("owner", report.Owner);
        json.WriteString("condition", SegmentFormatter.Condition(report.Condition));
        if (report.Problem is { } problem) json.WriteString("problem", problem);
        json.WriteBoolean("inUse", report.InUse);
        json.WriteNumber("maxParticipants", report.MaxParticipants);
        json.WriteStartArray("participants");
        foreach (ParticipantReport p in report.Participants)
        {
            json.WriteStartObject();
            json.WriteNumber("number", p.Number);
            json.WriteNumber("pid", p.Pid);
            json.WriteString("role", p.Role);
            json.WriteBoolean("alive", p.Alive);
            if (!p.SameNamespace) json.WriteBoolean("sameNamespace", false);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        if (report.Contents is null) return;
        json.WriteStartObject("depth");
        Depth(json, report.Contents);
        json.WriteEndObject();
    }

    private static void Depth(Utf8JsonWriter json, SegmentContents depth)
    {
        switch (depth)
        {
            case StreamContents s:
                json.WriteNumber("unreadBytes", s.UnreadBytes);
                json.WriteNumber("laneBytes", s.LaneBytes);
                json.WriteNumber("maxLanes", s.MaxLanes);
                json.WriteBoolean("hasReceiver", s.HasReceiver);
                json.WriteStartArray("lanes");
                foreach (StreamLaneContents lane in s.Lanes)
                {
                    json.WriteStartObject();
                    json.WriteNumber("lane", lane.Lane);
                    json.WriteNumber("unreadBytes", lane.UnreadBytes);
                    json.WriteBoolean("hasSender", lane.HasSender);
                    json.WriteBoolean("completed", lane.Completed);
                    json.WriteEndObject();
                }

                json.WriteEndArray();
                break;
            case QueueContents q:
                json.WriteNumber("ready", q.Ready);
                json.WriteNumber("delayed", q.Delayed);
                json.WriteNumber("leased", q.Leased);
                json.WriteNumber("dead", q.Dead);
                json.WriteNumber("cancelled", q.Cancelled);
                json.WriteNumber("free", q.Free);
                json.WriteNumber("slots", q.Slots);
                json.WriteNumber("slotBytes", q.SlotBytes);
                json.WriteNumber("oldestReadySeconds", q.OldestReadyAge.TotalSeconds);
                json.WriteNumber("oldestLeaseSeconds", q.OldestLeaseAge.TotalSeconds);
                break;
            case TopicContents t:
                json.WriteNumber("published", t.Published);
                json.WriteNumber("keptBytes", t.KeptBytes);
                json.WriteNumber("laneBytes", t.LaneBytes);
                json.WriteNumber("lanesInUse", t.LanesInUse);
                json.WriteNumber("maxLanes", t.MaxLanes);
                json.WriteString("policy", SegmentFormatter.Policy(t.Policy));
                break;
            case PoolContents p:
                json.WriteString("channel", p.Channel);
                json.WriteNumber("lent", p.Lent);
                json.WriteNumber("free", p.Free);
                json.WriteNumber("files", p.Files);
                break;
            case RegionContents r:
                json.WriteNumber("valueBytes", r.ValueBytes);
                json.WriteNumber("limitBytes", r.LimitBytes);
                json.WriteNumber("runPid", r.RunPid);
                break;
        }
    }

    private static void Rates(Utf8JsonWriter json, SegmentRates rates)
    {
        json.WriteStartObject("rates");
        json.WriteString("unit", rates.Unit);
        json.WriteNumber("enteredPerSecond", Math.Round(rates.InPerSecond, 3));
        if (rates.OutPerSecond is { } left) json.WriteNumber("leftPerSecond", Math.Round(left, 3));
        json.WriteNumber("seconds", Math.Round(rates.Over.TotalSeconds, 3));
        json.WriteEndObject();
    }

    private static void PrintLine(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, Options))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }

        StandardOutput.WriteLine(buffer.WrittenSpan);
    }
}
