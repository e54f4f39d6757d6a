using Otto.Ipc.Fifo;
using Otto.Ipc.Files;
using Otto.Ipc.Mmap;
using Otto.Ipc.Uds;

namespace Otto.Ipc.Hosting;

// What configuration may say, under Otto:Ipc. One line is enough; the rest is for places that are not the usual ones.

/// <summary>Which transport a program uses, and what each would use were it chosen.</summary>
public sealed class OttoIpcOptions
{
    /// <summary>
    /// The transport's address, such as <c>mmap:</c> or <c>files:///var/lib/mine</c>. <c>OTTO_TRANSPORT</c> in the
    /// environment overrides it.
    /// </summary>
    public string Transport { get; set; } = "mmap:";

    /// <summary>For shared memory. A path in the address has the last word.</summary>
    public MmapTransportOptions Mmap { get; set; } = new();

    /// <summary>For sockets. A path in the address has the last word.</summary>
    public UdsTransportOptions Uds { get; set; } = new();

    /// <summary>For FIFOs. A path in the address has the last word.</summary>
    public FifoTransportOptions Fifo { get; set; } = new();

    /// <summary>For files. A path in the address has the last word.</summary>
    public FilesTransportOptions Files { get; set; } = new();
}
