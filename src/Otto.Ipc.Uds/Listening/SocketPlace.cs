using System.Text;
using Otto.Ipc.Native;

namespace Otto.Ipc.Uds.Listening;

// Where sockets lie: the path that a server and its clients agree on without a word, and a directory in which nobody else can put another
// file in its place.

internal static class SocketPlace
{
    private const int StickyBit = 0x200, WritableByOthers = 0x12, WritableByAll = 0x02;

    /// <summary>The path as it was given, or where everybody looks.</summary>
    public static string PathOf(string? configured)
    {
        if (!Libc.Supported) throw new PlatformNotSupportedException("sockets of Otto.Ipc need Linux on x64 or arm64");
        string path = Path.GetFullPath(configured ?? Default());
        CheckLength(path);
        return path;
    }

    /// <summary>Refuses a path that the kernel could not take.</summary>
    public static void CheckLength(string path)
    {
        if (path.Length == 0 || path.Contains('\0', StringComparison.Ordinal)) throw new ArgumentException("a socket's path is empty or has a zero in it", nameof(path));
        int bytes = Encoding.UTF8.GetByteCount(path);
        if (bytes > Libc.LongestSocketPath)
            throw new ArgumentException($"socket path of {bytes} bytes exceeds the system's limit of {Libc.LongestSocketPath}: {path}; choose a shorter one", nameof(path));
    }

    /// <summary>Makes the directory for this user alone where it is missing, and refuses one in which others could replace what is ours.</summary>
    public static void EnsureDirectory(string socketPath)
    {
        string directory = Path.GetDirectoryName(socketPath) ?? throw new ArgumentException($"{socketPath} is not the path of a socket");
        if (Libc.Status(directory) is null)
        {
            try
            {
                Make(directory);
            }
            catch (UnauthorizedAccessException e)
            {
                throw new UnauthorizedAccessException($"cannot create {directory} for the socket; name another path in OTTO_SOCKET", e);
            }
        }

        CheckDirectory(directory);
    }

    private static void Make(string directory)
    {
        if (!OperatingSystem.IsLinux()) return;
        // Level by level: what is made on the way is for this user alone too, or others could replace what lies in it.
        if (Path.GetDirectoryName(directory) is { Length: > 0 } parent && Libc.Status(parent) is null) Make(parent);
        Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    private static void CheckDirectory(string directory)
    {
        // A link to a directory is somebody's choice of a place (/var/run is one); what counts is the directory that it leads to.
        string target = new DirectoryInfo(directory).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? directory;
        if (Libc.Status(target) is not { } status) throw new DirectoryNotFoundException($"the directory {directory} of the socket went away");
        if (!status.IsDirectory) throw new IOException($"{directory} is not a directory; a socket needs one");
        uint me = Libc.GetEuid();
        if (status.Uid != me && status.Uid != 0) throw new UnauthorizedAccessException($"the directory {directory} belongs to uid {status.Uid}, not to {me}; name another path in OTTO_SOCKET");
        if (IsOpen(status, WritableByOthers))
            throw new UnauthorizedAccessException($"the directory {directory} has mode {Convert.ToString(status.Permissions, 8)}; others could replace the socket: chmod 700 it");
        string? parent = Path.GetDirectoryName(target);
        // A group may be this user's own; above its own directory only the whole world is kept out.
        if (parent is not null && Libc.Status(parent) is { } above && IsOpen(above, WritableByAll))
            throw new UnauthorizedAccessException($"the directory {parent} has mode {Convert.ToString(above.Permissions, 8)}; others could replace {target} and the socket in it: chmod o-w it");
    }

    private static bool IsOpen(FileStatus status, int bits) => (status.Permissions & bits) != 0 && (status.Permissions & StickyBit) == 0;

    private static string Default()
    {
        if (Environment.GetEnvironmentVariable("OTTO_SOCKET") is { Length: > 0 } named) return named;
        if (Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR") is { Length: > 0 } runtime) return Path.Combine(runtime, "otto", "otto.sock");
        return $"/tmp/otto-{Libc.GetEuid()}/otto.sock";
    }
}
