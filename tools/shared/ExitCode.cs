namespace Otto.Tools;

// The same numbers in every tool, so that a script can tell what went wrong.

internal static class ExitCode
{
    public const int Done = 0;
    public const int Failed = 1;
    public const int Usage = 2;
    public const int NoSegment = 3;
    public const int NoServer = 3;
    public const int Denied = 4;
    public const int Full = 5;
    public const int TimedOut = 124;
    public const int NotExecutable = 126;
    public const int NotFound = 127;
}
