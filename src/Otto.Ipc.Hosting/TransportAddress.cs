namespace Otto.Ipc.Hosting;

// mmap:   mmap:///dev/shm/mine   uds:///run/user/1000/otto/otto.sock   fifo:///dir   files:///dir

/// <summary>Which transport, and where: a scheme, and a full path or nothing for the transport's own place.</summary>
/// <param name="Scheme">The transport's name, in small letters.</param>
/// <param name="Path">A full path; <see langword="null"/> if the transport's default is meant.</param>
internal readonly record struct TransportAddress(string Scheme, string? Path)
{
    /// <summary>Parses an address.</summary>
    /// <exception cref="ArgumentException">The text is not an address. The message shows the format.</exception>
    public static TransportAddress Parse(string address)
    {
        int colon = address.IndexOf(':', StringComparison.Ordinal);
        string scheme = (colon < 0 ? address : address[..colon]).Trim().ToLowerInvariant(),
            rest = colon < 0 ? "" : address[(colon + 1)..].Trim();
        if (scheme.Length == 0) throw new ArgumentException($"'{address}' names no transport; write {TransportRegistry.Examples}");
        if (rest.Length == 0) return new TransportAddress(scheme, null);
        // Two slashes, then a path that begins with the third; what stands between them would be a machine, and there is only this one.
        if (!rest.StartsWith("///", StringComparison.Ordinal))
            throw new ArgumentException($"'{address}' has no full path: write '{scheme}:' for the usual place, or '{scheme}:///' and a "
                + $"path that begins at the root, as in {TransportRegistry.Examples}");
        string path = rest[2..];
        if (path.Contains('\0', StringComparison.Ordinal)) throw new ArgumentException("a path cannot hold U+0000");
        return new TransportAddress(scheme, System.IO.Path.GetFullPath(path));
    }
}
