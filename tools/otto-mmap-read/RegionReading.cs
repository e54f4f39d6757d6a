using System.Buffers;
using System.Diagnostics;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Otto.Ipc.Mmap.Regions;

namespace Otto.Tools;

// One run of the tool: find the region, wait for it and the key if told to, print, and go on printing if told to.

internal sealed class RegionReading(RegionLocation location, string? key, TimeSpan? timeout, string? fallback, bool asJson)
{
    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    // How often a follower asks whether anybody still reads its output.
    private static readonly TimeSpan Slice = TimeSpan.FromSeconds(1);

    /// <summary>Prints the value once.</summary>
    public int Once()
    {
        if (AwaitValue(out _, out _, out JsonElement? value)) Print(value!.Value);
        else PrintFallback();
        return ExitCode.Done;
    }

    /// <summary>Prints the value each time it changes. Ends with the region, or when nobody reads.</summary>
    public int Follow()
    {
        if (AwaitValue(out JsonRegion? region, out RegionSnapshot? snapshot, out JsonElement? value)) Print(value!.Value);
        else PrintFallback();
        if (region is null || snapshot is null) return ExitCode.Done;

        string? last = value?.GetRawText();
        for (long since = Stopwatch.GetTimestamp(); ;)
        {
            if (StandardOutput.IsBroken) return ExitCode.Done;
            TimeSpan left = timeout is { } limit ? limit - Stopwatch.GetElapsedTime(since) : Slice;
            if (left <= TimeSpan.Zero) throw new TimeoutException($"{What()} did not change for {timeout!.Value.TotalSeconds:0.###} s");
            if (region.WaitForChange(snapshot, left < Slice ? left : Slice) is not { } now) continue;

            snapshot = now;
            value = Select(now);
            string? text = value?.GetRawText();
            if (text == last) continue;
            last = text;
            since = Stopwatch.GetTimestamp();
            if (value is { } changed) Print(changed);
            else if (fallback is not null) PrintFallback();
        }
    }

    /// <summary>Waits for the region and the key as long as was allowed.</summary>
    /// <returns>False where they are missing and the default is to be printed instead.</returns>
    private bool AwaitValue(out JsonRegion? region, out RegionSnapshot? snapshot, out JsonElement? value)
    {
        long start = Stopwatch.GetTimestamp();
        value = null;
        snapshot = null;
        while (true)
        {
            Exception missing;
            TimeSpan left = (timeout ?? TimeSpan.Zero) - Stopwatch.GetElapsedTime(start);
            try
            {
                region = JsonRegion.Open(location);
                snapshot = region.Read();
                value = Select(snapshot);
                if (value is not null) return true;
                missing = new KeyNotFoundException($"{What()} is not there; the region is {region.FilePath}");
            }
            catch (FileNotFoundException e)
            {
                region = null;
                missing = e;
            }

            if (left <= TimeSpan.Zero)
            {
                if (fallback is not null) return false;
                throw timeout is { } limit ? new TimeoutException($"{missing.Message} (waited {limit.TotalSeconds:0.###} s)") : missing;
            }

            if (region is not null && snapshot is not null && StillThere(region, snapshot, left)) continue;
            TimeSpan pause = TimeSpan.FromMilliseconds(20);
            Thread.Sleep(left < pause ? left : pause);
        }
    }

    private static bool StillThere(JsonRegion region, RegionSnapshot snapshot, TimeSpan left)
    {
        try
        {
            region.WaitForChange(snapshot, left);
            return true;
        }
        catch (FileNotFoundException)
        {
            return false;
        }
    }

    private JsonElement? Select(RegionSnapshot snapshot) => key is null ? snapshot.Root : snapshot[key];

    private string What() => key is null ? $"the region of task '{location.Task}'" : $"key '{key}' of task '{location.Task}'";

    private void Print(JsonElement value)
    {
        if (!asJson && key is not null && value.ValueKind == JsonValueKind.String && TryGetText(value) is { } text)
        {
            StandardOutput.WriteLine(Encoding.UTF8.GetBytes(text));
            return;
        }

        Write(writer => value.WriteTo(writer), wrap: asJson && key is not null);
    }

    private void PrintFallback()
    {
        if (asJson && key is not null) Write(writer => writer.WriteStringValue(fallback), wrap: true);
        else StandardOutput.WriteLine(Encoding.UTF8.GetBytes(fallback!));
    }

    private void Write(Action<Utf8JsonWriter> value, bool wrap)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, Readable))
        {
            if (wrap)
            {
                writer.WriteStartObject();
                writer.WriteString("key"u8, key);
                writer.WritePropertyName("value"u8);
            }

            value(writer);
            if (wrap) writer.WriteEndObject();
        }

        StandardOutput.WriteLine(buffer.WrittenSpan);
    }

    private static string? TryGetText(JsonElement value)
    {
        try
        {
            return value.GetString();
        }
        catch (InvalidOperationException)
        {
            // An escaped half of a surrogate pair has no text: it is printed as the JSON that it is.
            return null;
        }
    }
}
