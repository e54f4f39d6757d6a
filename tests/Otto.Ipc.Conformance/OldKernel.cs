namespace Otto.Ipc.Conformance;

// A kernel that lacks system calls, by a real seccomp filter: every process that is started behind it meets the filter, however it makes
// the call.

/// <summary>Commands that start a program under a filter of system calls.</summary>
public static class OldKernel
{
    /// <summary>ENOSYS: what a kernel answers that does not know the call.</summary>
    public const int NotKnown = 38;

    /// <summary>EPERM: what the profiles of older container runtimes answer for a call that they do not know.</summary>
    public const int NotPermitted = 1;

    // x64 and arm64: futex_waitv, membarrier, memfd_create.
    private const string Launcher =
        """
        import ctypes, os, platform, struct, sys
        error, arm = int(sys.argv[1]), platform.machine() == 'aarch64'
        calls = {'futex_waitv': 449, 'membarrier': 283 if arm else 324, 'memfd_create': 279 if arm else 319}
        numbers = [calls[name] for name in sys.argv[2].split(',')]
        load, equal, answer = 0x20, 0x15, 0x06
        lines = [(load, 0, 0, 0)]
        for i, number in enumerate(numbers):
            lines.append((equal, len(numbers) - i, 0, number))
        lines += [(answer, 0, 0, 0x7fff0000), (answer, 0, 0, 0x00050000 | error)]
        code = b''.join(struct.pack('HBBI', *line) for line in lines)
        memory = ctypes.create_string_buffer(code)
        program = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', len(lines), ctypes.addressof(memory)))
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):
            sys.exit('no seccomp filter: ' + os.strerror(ctypes.get_errno()))
        for number in numbers:
            if libc.syscall(number, 0, 0, 0, 0, 0, 0) != -1 or ctypes.get_errno() != error:
                sys.exit('the filter does not refuse call %d' % number)
        os.execvp(sys.argv[3], sys.argv[3:])
        """;

    /// <summary>A kernel that answers <paramref name="error"/> to some calls.</summary>
    /// <param name="error"><see cref="NotKnown"/> or <see cref="NotPermitted"/>.</param>
    /// <param name="calls">Which: futex_waitv, membarrier, memfd_create.</param>
    public static IReadOnlyList<string> Without(int error, params string[] calls) =>
        Namespaces.Require("python3", "-c", Launcher, $"{error}", string.Join(',', calls));

    /// <summary>A kernel that has none of them.</summary>
    public static IReadOnlyList<string> WithoutAny(int error) => Without(error, "futex_waitv", "membarrier", "memfd_create");
}
