using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap;

namespace Otto.Ipc.FaultLab.Scenes;

// A stream of three lanes. Where the victim sends, another sender and the receiver go on, and a successor takes its lane. Where it
// receives, the senders meet a full ring (the exception that I5 makes), until it goes on or a successor takes its place.

internal sealed class StreamScene(FaultCase fault, bool kill, Random random, bool mustReach) : Scene(fault, kill, random, mustReach)
{
    private const string Name = "frames";
    private static readonly MmapStreamOptions Options = new() { Capacity = 4096, MaxSenders = 3 };
    private readonly Dictionary<int, int> _next = [];
    private readonly StallTimer _sends = new(), _reads = new();
    private readonly int _mostBytes = mustReach ? 190 : random.Next(13, 1000);
    private MessageSender? _sender;
    private MessageReceiver? _receiver;
    private Victim? _victim;
    private int _sent;
    private int _leftOver = -1;
    private volatile bool _sendNoMore, _senderEnded;

    protected override void Play()
    {
        bool receives = Fault.Victim.StartsWith("lane-receive", StringComparison.Ordinal);
        _sender = Workspace.Transport.OpenSender(Name, Options);
        if (!receives) StartReceiving();
        // Its lane is in use before the victim looks for one.
        _sender.TrySend(Payload.Make(1, _sent++, 20));
        OnThread(Send);
        _victim = new Victim(Workspace, Fault, Kill, Name);
        if (!_victim.AwaitDown(Findings, MustReach))
        {
            if (receives) _victim.Dispose();
            _victim.Finish();
            return;
        }

        long down = Stopwatch.GetTimestamp();
        if (receives) PlayReceiver(down);
        else PlaySender(down);
    }

    protected override void Close()
    {
        _victim?.Dispose();
        _sender?.Dispose();
        _receiver?.Dispose();
    }

    private void PlaySender(long down)
    {
        _sends.Watch();
        _reads.Watch();
        int sent = _sends.Count, read = _reads.Count;
        Soon(() => _sends.Count >= sent + 20 && _reads.Count >= read + 20, "the others to go on (I5)");
        int committed;
        if (Kill)
        {
            int intended = Numbers(_victim!.Lines, "intent").LastOrDefault(-1), said = Numbers(_victim.Lines, "sent").LastOrDefault(-1);
            committed = (Fault.Fate == ExpectedOutcome.Done ? intended : said) + 1;
            Soon(() => Next(3) >= committed, "what the dead one published (I1)");
            Judge(_sends.Stop(), "the other sender");
            Judge(_reads.Stop(), "the receiver");
            // Its successor goes on in its lane, and ends it.
            using MessageSender successor = Workspace.Transport.OpenSender(Name, Options);
            for (int i = 0; i < 20; i++) Send(successor, 4, i);
            successor.Complete();
            Soon(() => Next(4) == 20, "what its successor sent");
        }
        else
        {
            WaitOutAPeriod(down);
            _victim!.Continue();
            _victim.Finish();
            _victim.AwaitEnd(Findings);
            committed = Numbers(_victim.Lines, "sent").Count;
            Judge(_sends.Stop(), "the other sender");
            Judge(_reads.Stop(), "the receiver");
        }

        EndSending();
        Soon(() => Next(3) >= committed && Next(1) >= _sent, "everything that was sent (I1)");
        StopOthers();
        Count(3, committed);
        Count(1, _sent);
    }

    private void PlayReceiver(long down)
    {
        if (Kill)
        {
            // At most the message in its hands is read again, if it had not said that it was done with it.
            foreach (string line in _victim!.Lines.Where(line => line.StartsWith("got ", StringComparison.Ordinal)))
            {
                string[] words = line.Split(' ');
                Hear(int.Parse(words[1], CultureInfo.InvariantCulture), int.Parse(words[2], CultureInfo.InvariantCulture));
            }

            if (Fault.Fate == ExpectedOutcome.Redelivered) _leftOver = Next(1) - 1;
            _sends.Watch();
            StartReceiving();
            int sent = _sends.Count;
            Soon(() => _sends.Count >= sent + 20, "the sender to go on once a successor reads");
            Judge(_sends.Stop(), "the sender, from its successor's coming");
            EndSending();
            Soon(() => Next(1) >= _sent, "everything that was sent (I1)");
            StopOthers();
            Count(1, _sent);
            return;
        }

        WaitOutAPeriod(down);
        _victim!.Continue();
        EndSending();
        Soon(() => Numbers(_victim.Lines, "got 1").Count >= _sent, "everything that was sent (I1)");
        StopOthers();
        _sender!.Complete();
        _victim.AwaitEnd(Findings);
        List<int> got = Numbers(_victim.Lines, "got 1");
        if (!got.SequenceEqual(Enumerable.Range(0, _sent)))
            Findings.Add($"I1: of {_sent} messages the receiver got {got.Count}, not each once and in order");
    }

    private void StartReceiving()
    {
        _receiver = Workspace.Transport.OpenReceiver(Name, Options);
        OnThread(() =>
        {
            while (!Stopping)
            {
                if (!_receiver.TryReceive(out ReadLease lease))
                {
                    _receiver.WaitToReceive(TimeSpan.FromMilliseconds(100));
                    continue;
                }

                if (Payload.TryRead(lease.Bytes, out int sender, out int sequence)) Hear(sender, sequence);
                else Findings.Add($"I2: a torn message {sender}:{sequence}");
                lease.Dispose();
                _reads.Beat();
            }
        });
    }

    private void Hear(int sender, int sequence)
    {
        lock (_next)
        {
            int expected = _next.GetValueOrDefault(sender);
            if (sender == 1 && sequence == _leftOver && sequence == expected - 1)
            {
                _leftOver = -1; // once
                return;
            }

            if (sequence > expected) Findings.Lost += sequence - expected;
            if (sequence < expected) Findings.Duplicated++;
            if (sequence != expected) Findings.Add($"I1, I4: {sender}:{sequence} came where {sender}:{expected} was due");
            _next[sender] = sequence + 1;
        }
    }

    private int Next(int sender)
    {
        lock (_next) return _next.GetValueOrDefault(sender);
    }

    private void Count(int sender, int expected)
    {
        if (Next(sender) == expected) return;
        if (Next(sender) < expected) Findings.Lost += expected - Next(sender);
        Findings.Add($"I1, I2: of sender {sender}'s {expected} messages {Next(sender)} were heard");
    }

    private void Send()
    {
        while (!Stopping && !_sendNoMore)
        {
            Send(_sender!, 1, _sent);
            _sent++;
            _sends.Beat();
            if (_sent >= 20) Thread.Sleep(1);
        }

        _senderEnded = true;
    }

    private void EndSending()
    {
        _sendNoMore = true;
        Soon(() => _senderEnded, "the sender to end");
    }

    private void Send(MessageSender sender, int number, int sequence)
    {
        byte[] message = Payload.Make(number, sequence, Payload.HeaderBytes + sequence * 7 % _mostBytes);
        while (!sender.TrySend(message))
        {
            if (!sender.WaitToSend(message.Length, TimeSpan.FromSeconds(30))) throw new TimeoutException("the stream stayed full");
        }
    }

    private static List<int> Numbers(IReadOnlyList<string> lines, string beginning) =>
        [.. lines.Where(line => line.StartsWith(beginning + " ", StringComparison.Ordinal)).Select(
            line => int.Parse(line[(beginning.Length + 1)..].Split(' ')[0], CultureInfo.InvariantCulture))];
}
