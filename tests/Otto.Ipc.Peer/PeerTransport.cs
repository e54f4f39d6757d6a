using Otto.Ipc.Files;
using Otto.Ipc.Mmap;

namespace Otto.Ipc.Peer;

// The same roles over any transport: OTTO_TRANSPORT says which, and each finds its own place in the environment.

internal static class PeerTransport
{
    private static bool OverFiles => Environment.GetEnvironmentVariable("OTTO_TRANSPORT") == "files";

    public static WorkQueue OpenQueue(string name) =>
        OverFiles ? new FilesTransport().OpenQueue(name) : new MmapTransport().OpenQueue(name);

    public static IKeyValueStore OpenStore(string name) => new FilesTransport().OpenStore(name);

    public static MessageSender OpenSender(string name, MmapStreamOptions? options = null) =>
        OverFiles ? new FilesTransport().OpenSender(name) : new MmapTransport().OpenSender(name, options);

    public static MessageReceiver OpenReceiver(string name, MmapStreamOptions? options = null) =>
        OverFiles ? new FilesTransport().OpenReceiver(name) : new MmapTransport().OpenReceiver(name, options);
}
