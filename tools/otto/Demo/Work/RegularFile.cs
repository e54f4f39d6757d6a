namespace Otto.Tools.Demo.Work;

// Opens what can be read to its end. A FIFO would hold a worker until somebody writes, and a device may never end.

internal static class RegularFile
{
    /// <summary>Opens a file for one pass; null where it says that it is empty, which
    /// FIFOs, devices and the like do.</summary>
    public static FileStream? TryOpen(string path)
    {
        var info = new FileInfo(path);
        if (!info.Exists) throw new FileNotFoundException($"{path} is gone");
        return info.Length == 0 ? null
            : new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
    }
}
