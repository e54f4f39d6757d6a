using Otto.Ipc.Platform;

namespace Otto.Ipc.Uds;

/// <summary>A socket's path is another live server's; it was left alone.</summary>
public sealed class SocketInUseException : IOException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="path">The socket's path.</param>
    /// <param name="holder">The process that listens there; 0 if it is not known.</param>
    public SocketInUseException(string path, int holder)
        : base($"the socket {path} is in use by {Describe(holder)}; stop that, or choose another path")
    {
        Path = path;
        HolderPid = holder;
    }

    /// <summary>The socket's path.</summary>
    public string Path { get; }

    /// <summary>The process that listens there; 0 if it is not known.</summary>
    public int HolderPid { get; }

    private static string Describe(int pid)
    {
        if (pid <= 0) return "another process";
        return ProcessIdentity.NameOf(pid) is { } name ? $"process {pid} ({name})" : $"process {pid}";
    }
}
