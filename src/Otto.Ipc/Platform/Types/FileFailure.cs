using System.Runtime.InteropServices;

namespace Otto.Ipc.Platform;

// Why the system refused. A caller acts on the kind and words its own message; the number stays in the message and in the exception's
// HResult.

/// <summary>The kinds of refusal that callers distinguish.</summary>
internal enum FileFailureKind
{
    None,

    /// <summary>There is nothing of that name, or a part of its path is no directory.</summary>
    NotFound,

    /// <summary>Something of that name is there.</summary>
    Exists,

    /// <summary>It is a symbolic link, which is not followed.</summary>
    Link,

    /// <summary>It is a directory.</summary>
    Directory,

    /// <summary>The directory has something in it.</summary>
    NotEmpty,

    /// <summary>This user has no right to it.</summary>
    Denied,

    /// <summary>It cannot be written, or not in this way.</summary>
    ReadOnly,

    /// <summary>The file system is full.</summary>
    Full,

    /// <summary>The user's quota is used up.</summary>
    Quota,

    /// <summary>A file cannot be that large.</summary>
    TooLarge,

    /// <summary>The file system cannot do that.</summary>
    Unsupported,

    /// <summary>The lock is another's.</summary>
    Locked,

    Other,
}

/// <summary>A refusal of the system, or none.</summary>
/// <param name="Kind">What kind.</param>
/// <param name="Number">The system's own number, for messages.</param>
internal readonly record struct FileFailure(FileFailureKind Kind, int Number)
{
    private const int TooManyInSystem = 23, TooManyInProcess = 24; // ENFILE, EMFILE

    /// <summary>The system's own words for it.</summary>
    public string Reason => Marshal.GetPInvokeErrorMessage(Number);

    public bool Failed => Kind != FileFailureKind.None;

    /// <summary>Names the call, its object and the reason.</summary>
    public IOException ToException(string call, string what) => Describe(call, what, Number);

    /// <summary>As <see cref="ToException(string, string)"/>; what may not be written names the way out.</summary>
    /// <param name="call">The call.</param>
    /// <param name="what">Its object.</param>
    /// <param name="variable">The environment variable that names another place.</param>
    public Exception ToException(string call, string what, string variable) =>
        Kind is FileFailureKind.Denied or FileFailureKind.ReadOnly
        ? new UnauthorizedAccessException(Describe(call, what, Number, variable).Message) : ToException(call, what);

    /// <summary>Names a call, its object and the reason.</summary>
    public static IOException Describe(string call, string what, int number) =>
        new($"{call} of {what} failed: {Marshal.GetPInvokeErrorMessage(number)} (errno {number}){Advice(number)}", number);

    /// <summary>As <see cref="Describe(string, string, int)"/>, with the variable that names another place.</summary>
    public static IOException Describe(string call, string what, int number, string variable) =>
        new($"{Describe(call, what, number).Message}; name a place that can be written to in {variable}", number);

    private static string Advice(int number) => number switch
    {
        TooManyInProcess => "; this process has as many files open as it may: raise its limit (ulimit -n, or LimitNOFILE= of a service), "
            + "or open fewer channels, each of which needs one",
        TooManyInSystem => "; all processes together have as many files open as they may: raise fs.file-max",
        _ => "",
    };
}
