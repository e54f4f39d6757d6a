using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;

namespace Otto.Queue;

// What a header carries behind its fixed parts, each as kind, length and bytes. Whoever does not know a kind steps over it, so the format
// grows without harm to older workers.

internal static class EnvelopeExtensions
{
    /// <summary>Finds an extension.</summary>
    /// <param name="extensions">All of them.</param>
    /// <param name="kind">Its kind.</param>
    /// <param name="value">Its bytes.</param>
    internal static bool TryFind(ReadOnlySpan<byte> extensions, byte kind, out ReadOnlySpan<byte> value)
    {
        value = default;
        while (extensions.Length >= EnvelopeLayout.ExtensionHeaderBytes)
        {
            int length = BinaryPrimitives.ReadUInt16LittleEndian(extensions[1..]);
            if (length > extensions.Length - EnvelopeLayout.ExtensionHeaderBytes) return false;
            value = extensions.Slice(EnvelopeLayout.ExtensionHeaderBytes, length);
            if (extensions[0] == kind) return true;
            extensions = extensions[(EnvelopeLayout.ExtensionHeaderBytes + length)..];
        }

        return false;
    }

    /// <summary>Writes an extension.</summary>
    /// <returns>How many bytes it has.</returns>
    internal static int Write(Span<byte> bytes, byte kind, ReadOnlySpan<byte> value)
    {
        bytes[0] = kind;
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[1..], (ushort)value.Length);
        value.CopyTo(bytes[EnvelopeLayout.ExtensionHeaderBytes..]);
        return EnvelopeLayout.ExtensionHeaderBytes + value.Length;
    }

    /// <summary>FNV-1a of 64 bits: two payloads of one length are compared by it.</summary>
    internal static ulong Digest(ReadOnlySpan<byte> payload)
    {
        ulong hash = 0xCBF2_9CE4_8422_2325;
        foreach (byte value in payload) hash = (hash ^ value) * 0x100_0000_01B3;
        return hash;
    }
}

/// <summary>A trace's state and baggage, as the W3C headers have them.</summary>
internal static class TraceBaggage
{
    // What the W3C recommends that everybody passes on; more is left out, whole entries at a time.
    private const int MostTraceStateBytes = 512;
    private const int MostBaggageBytes = 8192;
    private const int MostEntries = 64;

    /// <summary>The header <c>tracestate</c>; its last entries, which are the oldest, are left out if it is too
    /// long.</summary>
    internal static string? CutState(string? state)
    {
        if (string.IsNullOrEmpty(state) || Encoding.UTF8.GetByteCount(state) <= MostTraceStateBytes)
            return string.IsNullOrEmpty(state) ? null : state;
        StringBuilder kept = new();
        int bytes = 0;
        foreach (string entry in state.Split(','))
        {
            bytes += Encoding.UTF8.GetByteCount(entry) + 1;
            if (bytes - 1 > MostTraceStateBytes) break;
            kept.Append(kept.Length == 0 ? "" : ",").Append(entry);
        }

        return kept.Length == 0 ? null : kept.ToString();
    }

    /// <summary>What of a span travels; default for none.</summary>
    internal static ActivityContext ContextOf(Activity? activity)
    {
        if (activity is not { IdFormat: ActivityIdFormat.W3C }) return default;
        ActivityContext context = activity.Context;
        return string.IsNullOrEmpty(context.TraceState) ? context
            : new ActivityContext(context.TraceId, context.SpanId, context.TraceFlags, CutState(context.TraceState), context.IsRemote);
    }

    /// <summary>The baggage of a span and of those above it, as the header <c>baggage</c>; <see langword="null"/> if it
    /// has none.</summary>
    internal static string? Of(Activity activity)
    {
        StringBuilder? header = null;
        int entries = 0;
        HashSet<string> seen = [];
        foreach ((string key, string? value) in activity.Baggage)
        {
            // The innermost value of a key is the first.
            if (entries == MostEntries || !seen.Add(key)) continue;
            string entry = $"{Uri.EscapeDataString(key)}={Uri.EscapeDataString(value ?? "")}";
            if ((header?.Length ?? 0) + entry.Length + 1 > MostBaggageBytes) continue;
            header ??= new StringBuilder();
            header.Append(header.Length == 0 ? "" : ",").Append(entry);
            entries++;
        }

        return header?.ToString();
    }

    /// <summary>Adds what a header says to a span.</summary>
    internal static void AddTo(Activity activity, string baggage)
    {
        string[] entries = baggage.Split(',', MostEntries + 1);
        // The last that is added is the first that is found.
        for (int i = Math.Min(entries.Length, MostEntries) - 1; i >= 0; i--)
        {
            // Properties of an entry follow a semicolon.
            string entry = entries[i].Split(';')[0];
            int equals = entry.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0) continue;
            activity.AddBaggage(Uri.UnescapeDataString(entry[..equals].Trim()), Uri.UnescapeDataString(entry[(equals + 1)..].Trim()));
        }
    }
}
