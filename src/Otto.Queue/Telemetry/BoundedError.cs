namespace Otto.Queue;

// What a handler throws goes into the log and the dead letters. A message of a megabyte is of no use there.

internal static class BoundedError
{
    private const int MostText = 2000;
    private const int MostLogged = 32_000;

    /// <summary>An error's type and message, cut if it is long.</summary>
    internal static string Text(Exception error) => $"{error.GetType().Name}: {Cut(error.Message, MostText)}";

    /// <summary>The error for the log: another with a shorter text if it is longer than a person reads.</summary>
    internal static Exception ForLog(Exception error)
    {
        for (Exception? at = error; at is not null; at = at.InnerException)
            if (at.Message.Length > MostLogged)
                return new BoundedException(error.GetType(), Cut(error.Message, MostText), error.StackTrace);
        return error;
    }

    private static string Cut(string text, int most) =>
        text.Length <= most ? text : $"{text[..(char.IsHighSurrogate(text[most - 1]) ? most - 1 : most)]}… ({text.Length:N0} characters)";

#pragma warning disable CA1064 // Made for the log alone; nobody catches it.
    private sealed class BoundedException(Type type, string message, string? stack) : Exception(message)
#pragma warning restore CA1064
    {
        public override string? StackTrace => stack;

        public override string ToString() => $"{type.FullName}: {Message}{Environment.NewLine}{stack}";
    }
}
