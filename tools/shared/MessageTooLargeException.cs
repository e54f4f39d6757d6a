namespace Otto.Tools;

/// <summary>A message that cannot be sent because of its size; the message says what can be done on the command
/// line.</summary>
internal sealed class MessageTooLargeException(string message) : IOException(message);
