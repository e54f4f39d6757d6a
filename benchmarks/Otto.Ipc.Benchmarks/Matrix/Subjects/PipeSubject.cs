using System.Diagnostics;
using System.IO.Pipes;

namespace Otto.Ipc.Benchmarks.Matrix.Subjects;

/// <summary>System.IO.Pipes, which on Unix is a socket: one pipe, both ways.</summary>
internal sealed class PipeSubject : Subject
{
    public override string Name => "pipes";

    public override string Title => "System.IO.Pipes";

    // Its reads only block.
    public override bool CanStayAwake => false;

    public override Outlet OpenOutlet(string address, string channel, LinkOptions options) =>
        OpenTalk(address, channel, caller: true, options).Outlet;

    public override Inlet OpenInlet(string address, string channel, LinkOptions options) =>
        OpenTalk(address, channel, caller: false, options).Inlet;

    public override DuplexEndpoint OpenTalk(string address, string channel, bool caller, LinkOptions options)
    {
        string path = Path.Combine(address, channel + ".pipe");
        if (caller)
        {
            var client = new NamedPipeClientStream(".", path, PipeDirection.InOut);
            client.Connect(20_000);
            return new DuplexEndpoint(new PipeOutlet(client, null), new PipeInlet(client, null));
        }

        var server = new NamedPipeServerStream(path, PipeDirection.InOut, 1);
        return new DuplexEndpoint(new PipeOutlet(server, server), new PipeInlet(server, server));
    }

    public override DuplexEndpoint OpenTalkOverOne(string address, string channel, bool caller, LinkOptions options) =>
        OpenTalk(address, channel, caller, options);

    private sealed class PipeOutlet(PipeStream pipe, NamedPipeServerStream? server) : FramedOutlet
    {
        protected override void Write(ReadOnlySpan<byte> bytes)
        {
            if (!pipe.IsConnected) server?.WaitForConnection();
            pipe.Write(bytes);
        }

        public override void Complete() => pipe.Dispose();

        public override void Dispose() => pipe.Dispose();
    }

    private sealed class PipeInlet(PipeStream pipe, NamedPipeServerStream? server) : FramedInlet
    {
        protected override int Read(Span<byte> destination)
        {
            if (!pipe.IsConnected) server?.WaitForConnection();
            return pipe.Read(destination);
        }

        protected override void Sleep(TimeSpan most) => Debug.Fail("a read has waited already");

        public override void Dispose() => pipe.Dispose();
    }
}
