using Otto.Ipc.Fifo;
using Otto.Ipc.Files;
using Otto.Ipc.Mmap;
using Otto.Ipc.Uds;

namespace Otto.Ipc.Hosting;

// The one place that knows every transport: a new one is a line here.

internal static class TransportRegistry
{
    public const string Examples = "mmap:, uds:///run/me/otto.sock, fifo:///dir or files:///dir";

    private static readonly (string Scheme, Type Type, Func<string?, OttoIpcOptions, ITransport> Open)[] All =
    [
        ("mmap", typeof(MmapTransport), static (path, options) =>
        new MmapTransport(path is null ? options.Mmap : options.Mmap with { Directory = path })),
        ("uds", typeof(UdsTransport), static (path, options) =>
        new UdsTransport(path is null ? options.Uds : options.Uds with { SocketPath = path })),
        ("fifo", typeof(FifoTransport), static (path, options) =>
        new FifoTransport(path is null ? options.Fifo : options.Fifo with { Directory = path })),
        ("files", typeof(FilesTransport), static (path, options) =>
        new FilesTransport(path is null ? options.Files : options.Files with { Directory = path })),
    ];

    private static readonly (string Word, Type Shape)[] Shapes =
        [("stream", typeof(IStreamTransport)), ("queue", typeof(IQueueTransport)), ("topic", typeof(ITopicTransport)),
            ("store", typeof(IStoreTransport))];

    public static string Names => string.Join(", ", All.Select(t => t.Scheme));

    /// <exception cref="ArgumentException">There is no such transport; the message names those there are.</exception>
    public static ITransport Open(TransportAddress address, OttoIpcOptions options)
    {
        foreach ((string scheme, _, Func<string?, OttoIpcOptions, ITransport> open) in All)
        {
            if (scheme == address.Scheme) return open(address.Path, options);
        }

        throw new ArgumentException($"there is no transport '{address.Scheme}'; there are {Names}: write {Examples}");
    }

    /// <summary>The words of the shapes that a transport offers.</summary>
    public static string ShapesOf(Type transport) =>
        string.Join(", ", Shapes.Where(s => s.Shape.IsAssignableFrom(transport)).Select(s => s.Word));

    /// <summary>The transports that offer a shape.</summary>
    public static string Offering(Type shape) => string.Join(", ", All.Where(t => shape.IsAssignableFrom(t.Type)).Select(t => t.Scheme));

    public static string WordOf(Type shape) => Array.Find(Shapes, s => s.Shape == shape).Word ?? shape.Name;
}
