using System.Runtime.InteropServices;
using System.Text;
using Otto.Ipc.Platform;
using Otto.Ipc.Uds.Protocol;

namespace Otto.Ipc.Uds.Server;

// Who may come in. Whoever may not is told why before it is closed: a client that knows only the protocol reads an error, not a riddle.

internal sealed class Acceptor : IDisposable
{
    private const int AtOnce = 64, DrainBytes = 4096, DrainsAtMost = 256;

    private readonly int _listener;
    private readonly int _most;
    private readonly uint _me = Libc.GetEuid();
    private int _spare;

    public Acceptor(int listener, int mostConnections)
    {
        _listener = listener;
        _most = mostConnections;
        _spare = OpenSpare();
    }

    /// <summary>Lets in who waits and may.</summary>
    /// <param name="present">How many are inside.</param>
    /// <param name="enter">Takes a descriptor in.</param>
    public void Open(int present, Action<int> enter)
    {
        for (int i = 0; i < AtOnce; i++)
        {
            int fd = Libc.Accept(_listener, 0, 0, Libc.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC);
            if (fd < 0)
            {
                int error = Marshal.GetLastPInvokeError();
                if (error is Libc.EINTR or Libc.ECONNABORTED) continue;
                if (error is Libc.EMFILE or Libc.ENFILE) TurnAwayWithoutDescriptors();
                return;
            }

            uint uid = Libc.PeerOf(fd).Uid;
            if (uid != _me && uid != 0)
            {
                TurnAway(fd, $"{ErrorCode.Denied} uid {uid} may not use the server of uid {_me}");
            }
            else if (present >= _most)
            {
                TurnAway(fd, $"{ErrorCode.Busy} {_most:N0} clients are connected, the most there may be");
            }
            else
            {
                enter(fd);
                present++;
            }
        }
    }

    /// <summary>Closes a connection so that its client reads all that was sent: what it sent itself and nobody read would turn the end into an error.</summary>
    public static unsafe void Close(int fd)
    {
        _ = Libc.Shutdown(fd, Libc.SHUT_WR);
        byte* unread = stackalloc byte[DrainBytes];
        for (int i = 0; i < DrainsAtMost && Libc.Receive(fd, unread, DrainBytes, 0) > 0; i++)
        {
        }

        _ = Libc.Close(fd);
    }

    public void Dispose()
    {
        if (_spare >= 0) _ = Libc.Close(_spare);
        _spare = -1;
    }

    private static unsafe void TurnAway(int fd, string words)
    {
        byte[] line = Encoding.UTF8.GetBytes($"ERROR: {words}\n");
        fixed (byte* bytes = line) _ = Libc.Send(fd, bytes, line.Length, Libc.MSG_NOSIGNAL);
        Close(fd);
    }

    /// <summary>No descriptor is left to hear a client with: one that is kept for this is given up for a moment.</summary>
    private void TurnAwayWithoutDescriptors()
    {
        if (_spare < 0)
        {
            _spare = OpenSpare();
            return;
        }

        _ = Libc.Close(_spare);
        int fd = Libc.Accept(_listener, 0, 0, Libc.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC);
        if (fd >= 0) TurnAway(fd, $"{ErrorCode.Busy} the server has no descriptors left; raise its limit of open files");
        _spare = OpenSpare();
    }

    private static int OpenSpare() => Libc.EventDescriptor(0, Libc.O_CLOEXEC);
}
