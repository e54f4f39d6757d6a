using Otto.Ipc.Platform;

namespace Otto.Ipc.Uds;

/// <summary>A socket's path is another live server's; it was left alone.</summary>
public sealed class SocketInUseException : IOException
{
    /// <summary>Makes the exception.</summary>
    /// <param name="path">The socket's path.</param>
    /// <param name="holder">The pid of whoever listens there; 0 where it is not known.</param>
    public SocketInUseException(string path, int holder)
        : base($"the socket {path} is in use by {Describe(holder)}; stop that, or choose another path")
    {
        Path = path;
        HolderPid = holder;
    }

    /// <summary>Makes the exception.</summary>
    public SocketInUseException()
    {
    }

    /// <summary>Makes the exception.</summary>
    /// <param name="message">Which socket, and who holds it.</param>
    public SocketInUseException(string message)
        : base(message)
    {
    }

    /// <summary>Makes the exception.</summary>
    /// <param name="message">Which socket, and who holds it.</param>
    /// <param name="innerException">What was met underneath.</param>
    public SocketInUseException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>The socket's path.</summary>
    public string? Path { get; }

    /// <summary>The pid of whoever listens there; 0 where it is not known.</summary>
    public int HolderPid { get; }

    private static string Describe(int pid)
    {
        if (pid <= 0) return "another process";
        return ProcessIdentity.NameOf(pid) is { } name ? $"process {pid} ({name})" : $"process {pid}";
    }
}
