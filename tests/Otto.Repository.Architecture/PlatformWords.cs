using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Otto.Repository.Architecture;

// What only the folder Platform may say. Comments are free; what counts is code, and two paths in string literals:
//   an import                 DllImport, LibraryImport, UnmanagedCallersOnly, SetLastError, Libc
//   an error number           Marshal.GetLastPInvokeError and its kin, errno, EINTR, ENOENT and the other errors of Linux by their names
//   a constant of the system  O_CREAT, AT_FDCWD, PROT_READ, MAP_SHARED, LOCK_EX, F_OFD_SETLK, SOCK_STREAM, EPOLLIN, POLLIN, S_IFREG, …
//   a word inside a name      fd, errno, uid, gid, epoll, inotify, futex, flock, membarrier, … as a whole word of a name such as pollFd or
//                             EpollCalls; Guid and Ofdm do not count
//   a descriptor              descriptor, _descriptors, fileDescriptor, EventDescriptor; not BlockDescriptor or ServiceDescriptor
//   rights                    UnixFileMode and what sets it
//   a question for the system OperatingSystem.IsLinux() and its kin, RuntimeInformation.ProcessArchitecture
//   a path                    "/proc…", "/dev/shm…"
// What .NET offers on every system does not count: Process, Socket, FileStream, SafeFileHandle, PosixSignal.

internal static partial class PlatformWords
{
    private static readonly HashSet<string> Names = Split("""
        DllImport DllImportAttribute LibraryImport LibraryImportAttribute UnmanagedCallersOnly SetLastError Libc
        UnixFileMode GetUnixFileMode SetUnixFileMode UnixCreateMode ProcessArchitecture OSArchitecture IsOSPlatform
        GetLastPInvokeError SetLastPInvokeError GetLastPInvokeErrorMessage GetPInvokeErrorMessage
        GetLastWin32Error GetLastSystemError SetLastSystemError
        EPERM ENOENT ESRCH EINTR EIO ENXIO EBADF ECHILD EAGAIN EWOULDBLOCK ENOMEM EACCES EFAULT EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR
        EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP
        EPROTO EOVERFLOW EOPNOTSUPP ENOTSUP EADDRINUSE ECONNABORTED ECONNREFUSED ECONNRESET ENOBUFS ENOTCONN ETIMEDOUT EALREADY EINPROGRESS
        ESTALE EDQUOT ECANCELED
        """);

    private static readonly HashSet<string> Words = Split("""
        fd fds errno uid euid gid egid futex futexes epoll inotify eventfd pidfd timerfd signalfd pollfd memfd flock ioctl fcntl membarrier
        syscall statx fallocate umask chmod fchmod geteuid sigpipe sigbus sigkill peercred ofd
        """);

    public static bool MayStandIn(SourceFile file) => file.Folder.Split('/').Contains("Platform");

    public static Measurement Measure(SourceProject project)
    {
        List<string> offenders = [];
        int files = 0;
        foreach (SourceFile file in project.Files.Where(file => file.IsCode && !MayStandIn(file)))
        {
            var found = Find(file).ToList();
            if (found.Count == 0) continue;
            files++;
            IEnumerable<string> words = found.GroupBy(place => place.Word).Select(word => $"{word.Key}:{word.First().Line}");
            offenders.Add($"{file.Path}:{found[0].Line} and {found.Count - 1} more: {string.Join(", ", words)}");
        }

        return new Measurement(files, offenders);
    }

    public static IEnumerable<(string Word, int Line)> Find(SourceFile file)
    {
        foreach (SyntaxToken token in file.Syntax.DescendantTokens())
        {
            string? word = token.Kind() switch
            {
                SyntaxKind.IdentifierToken => SpeaksOfSystem(token) ? token.ValueText : null,
                SyntaxKind.StringLiteralToken or SyntaxKind.Utf8StringLiteralToken or SyntaxKind.InterpolatedStringTextToken
                    or SyntaxKind.SingleLineRawStringLiteralToken or SyntaxKind.MultiLineRawStringLiteralToken
                    or SyntaxKind.Utf8SingleLineRawStringLiteralToken or SyntaxKind.Utf8MultiLineRawStringLiteralToken
                    => SystemPath().Match(token.ValueText) is { Success: true } path ? $"\"{path.Value}\"" : null,
                _ => null,
            };
            if (word is not null) yield return (word, file.LineAt(token.SpanStart));
        }
    }

    private static bool SpeaksOfSystem(SyntaxToken token)
    {
        string name = token.ValueText;
        string before = token.GetPreviousToken() is { } dot && dot.IsKind(SyntaxKind.DotToken) ? dot.GetPreviousToken().ValueText : "";
        if (before == "PosixSignal") return false;
        if (before == "OperatingSystem") return name.StartsWith("Is", StringComparison.Ordinal);
        if (Names.Contains(name) || Constant().IsMatch(name)) return true;
        return Descriptor().IsMatch(name) || Word().Matches(name).Any(word => Words.Contains(word.Value.ToLowerInvariant()));
    }

    private static HashSet<string> Split(string words) => [.. words.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)];

    [GeneratedRegex("^_?([Dd]escriptors?|(file|File|event|Event|socket|Socket|pipe|Pipe)Descriptors?)$")]
    private static partial Regex Descriptor();

    [GeneratedRegex("""
        ^((O|AT|PROT|MAP|LOCK|F|FD|S|SOCK|AF|PF|SO|SOL|MSG|SHUT|SEEK|IN|FUTEX|FUTEX2|MEMBARRIER|EFD|EPOLL|MFD|MADV|MS|SPLICE|SYS|STATX
            |SCM|CLONE)_[A-Z][A-Z0-9_]*|E?POLL[A-Z]+|SIG[A-Z]{3,})$
        """, RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex Constant();

    // The words of PollFd, poll_fd and FD: a capital begins one.
    [GeneratedRegex("[A-Z]+(?![a-z])|[A-Z]?[a-z]+")]
    private static partial Regex Word();

    [GeneratedRegex(@"(?<![\w.])/(proc|dev/shm)(?!\w)")]
    private static partial Regex SystemPath();
}
