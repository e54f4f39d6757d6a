using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Uds.Tests.ExternalClients;

// docs/protocol.md against the server: each example is played as it stands there.

[Parallelizable]
public sealed partial class ProtocolDocumentTests
{
    private static readonly string Document = File.ReadAllText(Path.Combine(DocumentExamples.Root, "docs", "protocol.md"));

    private static IEnumerable<TestCaseData> Examples() => Block().Matches(Document).Select((block, i) =>
        new TestCaseData(block.Groups[1].Value).SetArgDisplayNames($"{i + 1}: {block.Groups[1].Value.Split('\n')[0]}"));

    [TestCaseSource(nameof(Examples))]
    public void An_example_of_the_document_is_what_the_server_does(string example)
    {
        using var server = new TestServer();
        var clients = new Dictionary<char, WireClient>();
        foreach (string line in example.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            Match parts = Line().Match(line);
            Assert.That(parts.Success, Is.True, $"not a line of an example: {line}");
            char name = parts.Groups[1].Value[0];
            if (!clients.TryGetValue(name, out WireClient? client)) clients.Add(name, client = server.Connect());
            string text = parts.Groups[3].Value;
            if (parts.Groups[2].Value == ">") client.Send(Bytes(text));
            else if (text == "end") Assert.That(client.IsAtEnd(), Is.True);
            else Expect(client, text);
        }

        foreach (WireClient client in clients.Values)
        {
            client.EndInput();
            Assert.That(client.ReadToEnd(), Is.Empty, "more was answered than the document says");
        }
    }

    [Test]
    public void Every_command_has_an_example()
    {
        string examples = string.Concat(Block().Matches(Document).Select(block => block.Groups[1].Value));
        foreach (string command in (string[])["SET", "GET", "LIST", "DELETE", "EXISTS", "SUBSCRIBE", "UNSUBSCRIBE", "PUBLISH", "PROGRESS",
            "PING", "HELLO", "QUIT"])
            Assert.That(examples, Does.Match($@"[AB]> {command}\b|\\n{command}\b"), command);
        for (int command = 1; command <= 13; command++)
            Assert.That(examples, Does.Match($"> [0-9A-F]{{2}} 00 00 00 {command:X2}"), $"binary command {command:X2}");
        foreach (string code in (string[])["BADCMD", "BADKEY", "BADJSON", "TOOBIG", "BUSY", "DENIED", "SLOW"])
            Assert.That(Document, Does.Contain($"| `{code}` |"));
    }

    private static void Expect(WireClient client, string text)
    {
        if (!text.Contains('~', StringComparison.Ordinal))
        {
            byte[] expected = Bytes(text);
            Assert.That(Convert.ToHexString(client.Read(expected.Length)), Is.EqualTo(Convert.ToHexString(expected)), $"expected {text}");
            return;
        }

        // Something is left open: a line as a whole, or a frame as a whole.
        if (IsHex(text.Replace("~", "", StringComparison.Ordinal)))
        {
            (byte status, byte[] payload) = client.ReadFrame();
            byte[] known = Bytes(text.Replace("~", "", StringComparison.Ordinal).Trim())[3..];
            Assert.That(new[] { status }.Concat(payload).Take(known.Length), Is.EqualTo(known));
            return;
        }

        string pattern = "^" + string.Join(".*",
            text.Split('~').Select(part => Regex.Escape(part.Replace("\\n", "", StringComparison.Ordinal)))) + "$";
        Assert.That(client.ReadLine(), Does.Match(pattern));
    }

    private static bool IsHex(string text) => text.Trim().Length > 0 && Hex().IsMatch(text.Trim());

    private static byte[] Bytes(string text) => IsHex(text)
        ? [.. text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(
            pair => byte.Parse(pair, NumberStyles.HexNumber, CultureInfo.InvariantCulture))]
        : Encoding.UTF8.GetBytes(text.Replace("\\n", "\n", StringComparison.Ordinal).Replace("\\r", "\r", StringComparison.Ordinal));

    [GeneratedRegex(@"```otto\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Block();

    [GeneratedRegex(@"^([AB])([<>]) (.+)$")]
    private static partial Regex Line();

    [GeneratedRegex(@"^([0-9A-F]{2} *)+$")]
    private static partial Regex Hex();
}
