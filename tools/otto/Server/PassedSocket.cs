using System.Globalization;

namespace Otto.Tools.Server;

// The socket that systemd passes to a service of a .socket unit: LISTEN_PID says whom it is meant for, LISTEN_FDS how many there are.

internal static class PassedSocket
{
    private const int First = 3;

    /// <summary>The descriptor that was passed to this process; <see langword="null"/> if none was.</summary>
    /// <exception cref="ArgumentException">It is not one socket.</exception>
    public static int? Find()
    {
        if (Environment.GetEnvironmentVariable("LISTEN_PID") is not { Length: > 0 } pid) return null;
        // Meant for a parent, which left the variables behind.
        if (pid != Environment.ProcessId.ToString(CultureInfo.InvariantCulture)) return null;
        string count = Environment.GetEnvironmentVariable("LISTEN_FDS") ?? "";
        return count == "1" ? First
            : throw new ArgumentException(
                $"LISTEN_FDS is '{count}', and otto serve serves one socket; give the .socket unit one ListenStream=");
    }
}
