namespace Otto.Ipc.Files;

internal static class Limits
{
    /// <summary>Refuses a number outside its limits, and names all three.</summary>
    public static void Check(long? value, long least, long most, string name)
    {
        if (value is { } v && (v < least || v > most))
            throw new ArgumentOutOfRangeException(name, $"{name} must be {least:N0} to {most:N0}: {v:N0}");
    }
}
