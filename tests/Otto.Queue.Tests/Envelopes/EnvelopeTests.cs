using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Envelopes;

/// <summary>The bytes around a task agree with docs/envelope.md, and nothing that stands in them can do harm.</summary>
internal sealed class EnvelopeTests
{
    private static EnvelopeHeader Golden => new()
    {
        Id = new TaskId(0x0011223344556677, 0x8899AABBCCDDEEFF),
        EnqueuedMicroseconds = 1_767_225_600_000_000, // 2026-01-01T00:00:00Z
        NotBeforeMicroseconds = 0,
        AttemptsBefore = 2,
        Format = 1,
        Metadata = new TaskMetadata
        {
            Trace = new ActivityContext(
                ActivityTraceId.CreateFromString("0af7651916cd43dd8448eb211c80319c"), ActivitySpanId.CreateFromString("b7ad6b7169203331"),
                ActivityTraceFlags.Recorded, isRemote: true),
        },
    };

    [Test]
    public void The_fixed_part_is_48_bytes() => Assert.That(EnvelopeLayout.FixedBytes, Is.EqualTo(0x30));

    [Test]
    public void The_golden_bytes_of_the_document_are_what_is_written()
    {
        Assert.That(Hex(Write(Golden, "photos.resize", """{"File":"a.jpg"}""")), Is.EqualTo(GoldenBytesOfTheDocument()));
    }

    [Test]
    public void The_golden_bytes_of_the_document_are_read()
    {
        byte[] bytes = Convert.FromHexString(GoldenBytesOfTheDocument());

        Assert.That(EnvelopeReader.Read(bytes, out EnvelopeHeader header, out ReadOnlySpan<byte> name, out int payloadAt), Is.Null);

        Assert.That(Encoding.UTF8.GetString(name), Is.EqualTo("photos.resize"));
        Assert.That(Encoding.UTF8.GetString(bytes.AsSpan(payloadAt)), Is.EqualTo("""{"File":"a.jpg"}"""));
        Assert.That((header.Id, header.EnqueuedMicroseconds, header.AttemptsBefore, header.Format),
            Is.EqualTo((Golden.Id, Golden.EnqueuedMicroseconds, 2, (byte)1)));
        Assert.That((header.Metadata!.Trace.TraceId, header.Metadata!.Trace.SpanId, header.Metadata!.Trace.TraceFlags),
            Is.EqualTo((Golden.Metadata!.Trace.TraceId, Golden.Metadata!.Trace.SpanId, ActivityTraceFlags.Recorded)));
    }

    [Test]
    public void Every_cut_is_refused()
    {
        byte[] whole = Write(Golden, "photos.resize", "{}");
        for (int length = 0; length < whole.Length; length++)
            Assert.That(EnvelopeReader.Read(whole.AsSpan(0, length), out _, out _, out _), Does.StartWith("envelope: "), $"{length} bytes");
    }

    [Test]
    public void No_bytes_whatever_make_it_throw_or_point_outside_the_message()
    {
        Random random = new(7);
        byte[] whole = Write(Golden, "photos.resize", "{}");
        for (int i = 0; i < 200_000; i++)
        {
            byte[] bytes = (byte[])whole.Clone();
            for (int flips = random.Next(1, 6); flips > 0; flips--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            Span<byte> message = bytes.AsSpan(0, random.Next(4) == 0 ? random.Next(bytes.Length) : bytes.Length);
            if (EnvelopeReader.Read(message, out _, out ReadOnlySpan<byte> name, out int payloadAt) is not null) continue;
            if (payloadAt > message.Length || name.Length is 0 or > 100) Assert.Fail(Hex(bytes));
        }
    }

    [Test]
    public void The_envelope_of_another_program_is_read()
    {
        byte[] bytes = new TestEnvelope { Name = "jobs", Payload = "{}" }.ToArray();
        Assert.That(EnvelopeReader.Read(bytes, out _, out ReadOnlySpan<byte> name, out int payloadAt), Is.Null);
        Assert.That((Encoding.UTF8.GetString(name), payloadAt), Is.EqualTo(("jobs", 52)));
    }

    [TestCase("00112233445566778899aabbccddeeff", true)]
    [TestCase("00112233445566778899aabbccddeef", false)]
    [TestCase("00112233-4455-6677-8899-aabbccddeeff", false)]
    [TestCase("00112233445566778899aabbccddeefg", false)]
    public void An_id_is_32_hexadecimal_digits(string text, bool valid)
    {
        Assert.That(TaskId.TryParse(text, out TaskId id), Is.EqualTo(valid));
        if (valid) Assert.That((id.ToString(), $"{id}"), Is.EqualTo((text, text)));
    }

    private static byte[] Write(EnvelopeHeader header, string name, string payload)
    {
        EnvelopeBuffer buffer = EnvelopeBuffer.Rent();
        EnvelopeWriter.Write(header, buffer, Encoding.UTF8.GetBytes(name));
        System.Buffers.BuffersExtensions.Write(buffer, Encoding.UTF8.GetBytes(payload));
        EnvelopeWriter.Seal(buffer.Written);
        byte[] bytes = buffer.Written.ToArray();
        buffer.Return();
        return bytes;
    }

    private static string Hex(byte[] bytes) => Convert.ToHexStringLower(bytes);

    private static string GoldenBytesOfTheDocument()
    {
        string folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "docs", "envelope.md")))
            folder = Path.GetDirectoryName(folder) ?? throw new FileNotFoundException("docs/envelope.md");
        string document = File.ReadAllText(Path.Combine(folder, "docs", "envelope.md"));
        string block = Regex.Match(document, "```golden\n(.*?)```", RegexOptions.Singleline).Groups[1].Value;
        return string.Concat(block.Split('\n').Select(static line => line.Split('|')[0].Replace(" ", "", StringComparison.Ordinal)));
    }
}
