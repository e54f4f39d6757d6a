using System.Runtime.InteropServices;

namespace Otto.Ipc.Conformance;

/// <summary>What a fork gives its child: copies of this process's descriptors, the same
/// open files with their locks and connections, until it executes its program.</summary>
public sealed partial class ForkedDescriptors : IDisposable
{
    private readonly int[] _copies;

    /// <summary>Copies descriptors.</summary>
    /// <param name="wanted">Whether to copy one, by what it leads to.</param>
    public ForkedDescriptors(Func<string, bool> wanted) =>
        _copies = [.. OpenDescriptors.All().Where(descriptor => wanted(descriptor.Target)).ToArray().Select(
            static descriptor => Duplicate(descriptor.Number))];

    /// <summary>How many there are.</summary>
    public int Count => _copies.Length;

    /// <summary>The child's program begins.</summary>
    public void Dispose()
    {
        foreach (int copy in _copies.Where(static copy => copy >= 0)) _ = Close(copy);
    }

    [LibraryImport("libc", EntryPoint = "dup")]
    private static partial int Duplicate(int descriptor);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
