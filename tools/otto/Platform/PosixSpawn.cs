using System.Runtime.InteropServices;
using System.Text;

namespace Otto.Tools.Platform;

// Starts a program in a session and process group of its own, which System.Diagnostics.Process cannot: the terminal's signals do not reach
// it, and one signal reaches all that it starts. It begins with the usual signals, whatever this program was started with.

internal static unsafe partial class PosixSpawn
{
    /// <summary>This process's own descriptor.</summary>
    public const int Inherited = -1;

    /// <summary>A descriptor of /dev/null.</summary>
    public const int Nothing = -2;

    private const short SetSignalDefaults = 4, SetSignalMask = 8, NewSession = 0x80;

    // Larger than what any C library on Linux has for these: 128, 80 and 336 bytes.
    private const int SignalSetBytes = 256, FileActionsBytes = 256, AttributesBytes = 1024;

    private const int Write = 1, Read = 0;

    private static readonly int[] s_defaults = [1, 2, 3, 13, 15, 17, 18, 20, 21, 22]; // HUP INT QUIT PIPE TERM CHLD CONT TSTP TTIN TTOU

    /// <summary>Starts a program.</summary>
    /// <param name="path">Its file.</param>
    /// <param name="arguments">The arguments; the first is the program's name.</param>
    /// <param name="environment">NAME=VALUE, without a zero byte.</param>
    /// <param name="descriptors">The three standard descriptors: one of this process, <see cref="Inherited"/> or
    /// <see cref="Nothing"/>.</param>
    /// <returns>The process id, which is the group's and the session's too.</returns>
    /// <exception cref="IOException">The program cannot be started.</exception>
    public static int Start(string path, string[] arguments, IReadOnlyList<byte[]> environment, ReadOnlySpan<int> descriptors)
    {
        byte* actions = stackalloc byte[FileActionsBytes], attributes = stackalloc byte[AttributesBytes];
        byte* signals = stackalloc byte[SignalSetBytes];
        Check(InitializeFileActions(actions), path);
        Check(InitializeAttributes(attributes), path);
        nint[] argumentPointers = Copy([.. arguments.Select(Encoding.UTF8.GetBytes)]), variablePointers = Copy(environment);
        try
        {
            for (int i = 0; i < descriptors.Length; i++)
            {
                if (descriptors[i] >= 0) Check(AddDuplicate(actions, descriptors[i], i), path);
                else if (descriptors[i] == Nothing) Check(AddOpen(actions, i, "/dev/null", i == 0 ? Read : Write, 0), path);
            }

            _ = ClearSignals(signals);
            Check(SetMask(attributes, signals), path);
            foreach (int signal in s_defaults) _ = AddSignal(signals, signal);
            Check(SetDefaults(attributes, signals), path);
            Check(SetFlags(attributes, SetSignalDefaults | SetSignalMask | NewSession), path);
            int process;
            fixed (nint* argumentList = argumentPointers, variableList = variablePointers)
                Check(Spawn(&process, path, actions, attributes, argumentList, variableList), path);
            return process;
        }
        finally
        {
            foreach (nint pointer in argumentPointers) NativeMemory.Free((void*)pointer);
            foreach (nint pointer in variablePointers) NativeMemory.Free((void*)pointer);
            _ = DestroyAttributes(attributes);
            _ = DestroyFileActions(actions);
        }
    }

    // A list of C strings that ends with a null pointer.
    private static nint[] Copy(IReadOnlyList<byte[]> texts)
    {
        nint[] pointers = new nint[texts.Count + 1];
        for (int i = 0; i < texts.Count; i++)
        {
            byte* copy = (byte*)NativeMemory.Alloc((nuint)texts[i].Length + 1);
            texts[i].CopyTo(new Span<byte>(copy, texts[i].Length));
            copy[texts[i].Length] = 0;
            pointers[i] = (nint)copy;
        }

        return pointers;
    }

    private static void Check(int error, string path)
    {
        if (error != 0) throw new IOException($"{path} could not be started: {Marshal.GetPInvokeErrorMessage(error)} (errno {error})");
    }

    [LibraryImport("libc", EntryPoint = "posix_spawn", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Spawn(int* process, string path, byte* actions, byte* attributes, nint* arguments, nint* environment);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_init")]
    private static partial int InitializeFileActions(byte* actions);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_destroy")]
    private static partial int DestroyFileActions(byte* actions);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_adddup2")]
    private static partial int AddDuplicate(byte* actions, int from, int to);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_addopen", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int AddOpen(byte* actions, int descriptor, string path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_init")]
    private static partial int InitializeAttributes(byte* attributes);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_destroy")]
    private static partial int DestroyAttributes(byte* attributes);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setflags")]
    private static partial int SetFlags(byte* attributes, short flags);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setsigmask")]
    private static partial int SetMask(byte* attributes, byte* signals);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setsigdefault")]
    private static partial int SetDefaults(byte* attributes, byte* signals);

    [LibraryImport("libc", EntryPoint = "sigemptyset")]
    private static partial int ClearSignals(byte* signals);

    [LibraryImport("libc", EntryPoint = "sigaddset")]
    private static partial int AddSignal(byte* signals, int signal);
}
