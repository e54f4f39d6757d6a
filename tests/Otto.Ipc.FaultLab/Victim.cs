using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.FaultLab;

// The one that is killed or stopped: a real process, with a real signal at an exact instruction.

internal sealed class Victim : IDisposable
{
    private readonly PeerProcess _peer;
    private readonly bool _kill;
    private readonly bool _onTheWayOut;

    public Victim(SegmentWorkspace workspace, FaultCase fault, bool kill, string name)
    {
        _kill = kill;
        _onTheWayOut = fault.Point.Contains("leave.", StringComparison.Ordinal)
            || fault.Point.Contains("complete.", StringComparison.Ordinal);
        string[] words = fault.Victim.Split(' ');
        string at = string.Create(CultureInfo.InvariantCulture, $"{fault.Point}:{fault.Hit}:{(kill ? "KILL" : "STOP")}");
        // A bug of a sweep or an end is the others'; one that publishes wrongly must be the victim's.
        string plant = Lab.Planted is { } bug && bug.StartsWith("stream.", StringComparison.Ordinal) ? bug : "";
        _peer = new PeerProcess(workspace.Directory, [("OTTO_FAULT_AT", at), ("OTTO_FAULT_PLANT", plant)], [words[0], name, .. words[1..]],
            program: words[0].StartsWith("tasks-", StringComparison.Ordinal) ? "Otto.Queue.Peer" : "Otto.Ipc.Peer");
    }

    public IReadOnlyList<string> Lines => _peer.Lines;

    public int Id => _peer.Id;

    public bool IsDown => _kill ? _peer.HasExited : _peer.IsStopped;

    public bool HasExited => _peer.HasExited;

    /// <summary>When its last descriptor was closed.</summary>
    public long EndedAt => _peer.EndedAt;

    /// <summary>Waits until it is where it is meant to be.</summary>
    /// <returns><see langword="false"/> where it ended without getting there.</returns>
    public bool AwaitDown(Findings findings, bool mustReach)
    {
        long start = Stopwatch.GetTimestamp();
        TimeSpan timeout = mustReach ? TimeSpan.FromSeconds(20) : TimeSpan.FromSeconds(4);
        bool told = false;
        while (!IsDown)
        {
            // Where it is to be killed, having ended is being down; how it ended is asked below.
            if ((!_kill && _peer.HasExited) || Stopwatch.GetElapsedTime(start) > timeout)
            {
                findings.Reached = false;
                if (mustReach) findings.Add($"the victim never came to its point: {_peer} {_peer.Errors}");
                return false;
            }

            // Points on the way out are reached once it is told to finish. One that has to come to its point before is not hurried past it.
            if (!told && (mustReach ? _onTheWayOut : Stopwatch.GetElapsedTime(start) > timeout / 10))
            {
                told = true;
                _peer.Say("finish");
            }

            Thread.Sleep(2);
        }

        if (_kill && _peer.WaitForExit() != 137)
        {
            findings.Reached = false;
            if (mustReach) findings.Add($"the victim ended with {_peer.WaitForExit()} instead of being killed: {_peer.Errors}");
            return false;
        }

        return true;
    }

    public void Continue() => _peer.Signal(18);

    public void Finish() => _peer.Say("finish");

    /// <summary>Waits for its ordinary end.</summary>
    public void AwaitEnd(Findings findings)
    {
        int exit = _peer.WaitForExit();
        if (exit != 0) findings.Add($"{_peer} ended with {exit}: {_peer.Errors}");
    }

    /// <summary>The last message about which it said this; null where it said it of none.</summary>
    public string? Last(string verb) =>
        _peer.Lines.LastOrDefault(line => line.StartsWith(verb + " ", StringComparison.Ordinal))?.Split(' ')[1];

    public void Dispose() => _peer.Dispose();
}

/// <summary>A directory of segments for one run, removed with all that is in it.</summary>
internal sealed class SegmentWorkspace : IDisposable
{
    private static readonly string Prefix = $"/dev/shm/otto-faults-{Environment.ProcessId}-";
    private static int _count;

    public SegmentWorkspace()
    {
        Directory = Prefix + Interlocked.Increment(ref _count).ToString(CultureInfo.InvariantCulture);
        System.IO.Directory.CreateDirectory(Directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Transport = new Mmap.MmapTransport(new Mmap.MmapTransportOptions { Directory = Directory });
    }

    public string Directory { get; }

    public Mmap.MmapTransport Transport { get; }

    /// <summary>Whether an entry of a queue's segment still says that a process is attached.</summary>
    public bool Lists(string queue, int pid)
    {
        byte[] entries = new byte[16 * SegmentLayout.ParticipantBytes];
        using var file = new FileStream(SegmentFile.PathOf(Directory, queue, SegmentShape.Queue), FileMode.Open, FileAccess.Read,
            FileShare.ReadWrite, bufferSize: 0);
        file.Position = SegmentLayout.ParticipantsOffset;
        file.ReadExactly(entries);
        for (int at = 0; at < entries.Length; at += SegmentLayout.ParticipantBytes)
        {
            if (entries[at] == 1 && BitConverter.ToInt32(entries, at + 8) == pid) return true;
        }

        return false;
    }

    /// <summary>How many blocks of a channel are not free, as its pool's file says.</summary>
    public int LentBlocks(string channel)
    {
        int lent = 0;
        foreach (string pool in System.IO.Directory.GetFiles(Directory, channel + "-*.pool"))
        {
            byte[] bytes = File.ReadAllBytes(pool);
            long at = BitConverter.ToInt64(bytes, 0x18);
            for (long i = BitConverter.ToInt64(bytes, 0x20); i > 0; i--, at += PoolLayout.EntryBytes)
            {
                if (BlockWord.State(BitConverter.ToInt64(bytes, (int)at)) != BlockState.Free) lent++;
            }
        }

        return lent;
    }

    public void Dispose() => System.IO.Directory.Delete(Directory, recursive: true);
}

/// <summary>Notes how long somebody goes without success, from a moment on.</summary>
internal sealed class StallTimer
{
    private readonly Lock _gate = new();
    private long _last = Stopwatch.GetTimestamp();
    private long _longest;
    private bool _watched;

    public int Count { get; private set; }

    public void Beat()
    {
        lock (_gate)
        {
            Count++;
            long now = Stopwatch.GetTimestamp();
            if (_watched) _longest = Math.Max(_longest, now - _last);
            _last = now;
        }
    }

    /// <summary>Counts silences from now on.</summary>
    public void Watch()
    {
        lock (_gate)
        {
            _watched = true;
            _last = Stopwatch.GetTimestamp();
        }
    }

    /// <summary>The longest silence since <see cref="Watch"/>; counts no more.</summary>
    public TimeSpan Stop()
    {
        lock (_gate)
        {
            _watched = false;
            return Stopwatch.GetElapsedTime(0, _longest);
        }
    }
}
