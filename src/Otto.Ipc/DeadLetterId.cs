using System.ComponentModel;
using System.Globalization;
using Otto.Ipc.Transports;

namespace Otto.Ipc;

// Opaque, as WorkId is. It names the exact state that was seen, so a letter that moved on is not mistaken for this one.

/// <summary>Names one dead letter of one queue.</summary>
/// <remarks>Two are equal if they name the same one. What is inside belongs to the transport.</remarks>
public readonly record struct DeadLetterId
{
    private readonly SlotToken _token;

    private DeadLetterId(in SlotToken token) => _token = token;

    /// <summary>For transports: makes a name from what the transport needs to find it again.</summary>
    /// <param name="token">The transport's token.</param>
    /// <returns>The name.</returns>
    [EditorBrowsable(EditorBrowsableState.Never)]
    public static DeadLetterId FromToken(in SlotToken token) => new(token);

    /// <summary>For transports: what the name was made from.</summary>
    /// <returns>The transport's token.</returns>
    [EditorBrowsable(EditorBrowsableState.Never)]
    public SlotToken ToToken() => _token;

    /// <summary>A text that is different for each name, for logs.</summary>
    /// <returns>The text.</returns>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{_token.Word:x}-{_token.Index}");
}
