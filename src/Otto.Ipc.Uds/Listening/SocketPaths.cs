using System.Text;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Uds.Listening;

// Where sockets lie: the path that a server and its clients agree on without a word, and a directory in which nobody else can put another
// file in its place.

internal static class SocketPaths
{
    private const int StickyBit = 0x200, WritableByOthers = 0x12, WritableByAnybody = 2;

    /// <summary>Gets the configured path, or the default path that servers and clients share.</summary>
    public static string PathOf(string? configured)
    {
        if (!PrivateFiles.IsSupported) throw new PlatformNotSupportedException("sockets of Otto.Ipc need Linux on x64 or arm64");
        string path = Path.GetFullPath(configured ?? Default());
        CheckLength(path);
        return path;
    }

    /// <summary>Refuses a path that the kernel could not take.</summary>
    public static void CheckLength(string path)
    {
        if (path.Length == 0 || path.Contains('\0', StringComparison.Ordinal))
            throw new ArgumentException("the path of a socket is empty or contains a zero character; name a file, such as /tmp/app.sock",
                nameof(path));
        int bytes = Encoding.UTF8.GetByteCount(path);
        if (bytes > UnixSocket.LongestPath)
            throw new ArgumentException(
                $"socket path of {bytes} bytes exceeds the system's limit of {UnixSocket.LongestPath}: {path}; choose a shorter one",
                nameof(path));
    }

    /// <summary>Makes the directory for this user alone where it is missing, and refuses
    /// one in which others could replace what is ours.</summary>
    public static void EnsureDirectory(string socketPath)
    {
        string directory = Path.GetDirectoryName(socketPath) ?? throw new ArgumentException($"{socketPath} is not the path of a socket");
        if (PrivateFiles.Status(directory) is null) Make(directory);
        CheckDirectory(directory);
    }

    private static void Make(string directory)
    {
        // Level by level: each is for this user alone.
        if (Path.GetDirectoryName(directory) is { } above && PrivateFiles.Status(above) is null) Make(above);
        FileFailure failure = PrivateFiles.TryCreateDirectory(directory);
        if (!failure.Failed || failure.Kind == FileFailureKind.Exists) return;
        IOException reason = failure.ToException("mkdir", directory);
        throw failure.Kind is FileFailureKind.Denied or FileFailureKind.ReadOnly
            ? new UnauthorizedAccessException($"cannot create {directory} for the socket; name another path in OTTO_SOCKET", reason)
            : reason;
    }

    private static void CheckDirectory(string directory)
    {
        // A link to a directory is somebody's choice of a place (/var/run is one); what counts is the directory that it leads to.
        string target = Resolved(directory);
        if (PrivateFiles.Status(target) is not { } status)
            throw new DirectoryNotFoundException($"the directory {directory} of the socket was removed");
        if (!status.IsDirectory) throw new IOException($"{directory} is not a directory; a socket needs one");
        uint me = ProcessIdentity.UserId;
        if (status.Owner != me && status.Owner != 0)
            throw new UnauthorizedAccessException(
                $"the directory {directory} belongs to uid {status.Owner}, not to {me}; name another path in OTTO_SOCKET");
        if ((status.Permissions & WritableByOthers) != 0 && (status.Permissions & StickyBit) == 0)
            throw new UnauthorizedAccessException($"the directory {directory} has mode {Convert.ToString(status.Permissions, 8)}; "
                + $"others could replace the socket: chmod 700 it");
        // What lies in a directory that anybody may write to can be renamed, whatever its own mode is; /tmp
        // has the sticky bit against that.
        if (Path.GetDirectoryName(target) is { } above && PrivateFiles.Status(Resolved(above)) is { } over
            && (over.Permissions & WritableByAnybody) != 0 && (over.Permissions & StickyBit) == 0)
            throw new UnauthorizedAccessException($"the directory {above} has mode {Convert.ToString(over.Permissions, 8)}; others "
                + $"could replace {directory}: chmod o-w or chmod +t it");
    }

    private static string Resolved(string directory) =>
        new DirectoryInfo(directory).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? directory;

    private static string Default()
    {
        if (Environment.GetEnvironmentVariable("OTTO_SOCKET") is { Length: > 0 } named) return named;
        if (Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR") is { Length: > 0 } runtime)
            return Path.Combine(runtime, "otto", "otto.sock");
        return $"/tmp/otto-{ProcessIdentity.UserId}/otto.sock";
    }
}
