using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap;

namespace Otto.Ipc.FaultLab.Scenes;

// A topic with a publisher and two subscribers that go on. Everybody's count is exact: what was heard and
// what was lost are all that was published.

internal sealed class TopicScene(FaultCase fault, bool kill, Random random, bool mustReach) : Scene(fault, kill, random, mustReach)
{
    private const string Name = "news";
    private static readonly TimeSpan LongestHold = TimeSpan.FromSeconds(30);
    private readonly SlowSubscriberPolicy _policy = Enum.Parse<SlowSubscriberPolicy>(fault.Victim.Split(' ')[^1]);
    private readonly StallTimer _publishes = new();
    private readonly List<Listener> _listeners = [];
    private MessagePublisher? _publisher;
    private Victim? _victim;
    private int _published;
    private volatile bool _publishNoMore, _publisherEnded;

    protected override void Play()
    {
        // Where somebody is to be ejected by the victim, nobody else may do it before; where somebody is not to be, it needs time to start.
        bool ejects = Fault.Point is "topic.eject.before" or "topic.eject.place";
        int capacity = ejects ? 1 << 15 : _policy == SlowSubscriberPolicy.Disconnect ? 1 << 22 : MustReach ? 4096 : 4096 << Random.Next(4);
        var options = new MmapTopicOptions { Capacity = capacity, MaxPublishers = 3, MaxSubscribers = 8, Policy = _policy };
        _publisher = Workspace.Transport.OpenPublisher(Name, options);
        // Under Eject one that never reads is there to be ejected; it is told so.
        for (int i = 0; i < 2; i++)
            _listeners.Add(new Listener(start => Workspace.Transport.OpenSubscriber(Name, startAt: start), Findings));
        MessageSubscriber? idle = _policy == SlowSubscriberPolicy.Disconnect ? Workspace.Transport.OpenSubscriber(Name) : null;
        foreach (Listener listener in _listeners) OnThread(() => listener.Listen(() => Stopping));
        if (!ejects) OnThread(Publish);
        _victim = new Victim(Workspace, Fault, Kill, Name);
        if (!_victim.AwaitDown(Findings, MustReach))
        {
            idle?.Dispose();
            _victim.Finish();
            return;
        }

        if (ejects) OnThread(Publish);
        long down = Stopwatch.GetTimestamp();
        bool publishes = Fault.Victim.StartsWith("topic-publish", StringComparison.Ordinal);
        // Under Block a stopped subscriber holds the publishers: the exception that I5 makes.
        bool held = !publishes && !Kill && _policy == SlowSubscriberPolicy.Block;
        _publishes.Watch();
        foreach (Listener listener in _listeners) listener.Pulse.Watch();
        int before = _publishes.Count;
        if (!held) Soon(() => _publishes.Count >= before + 200 && _listeners.All(l => l.Next(1) >= before), "the others to go on (I5)");
        if (!Kill)
        {
            WaitOutAPeriod(down);
            if (held)
            {
                _publishes.Stop();
                foreach (Listener listener in _listeners) listener.Pulse.Stop();
            }

            _victim.Continue();
            _victim.Finish();
            _victim.AwaitEnd(Findings);
        }

        Judge(_publishes.Stop(), "the other publisher");
        foreach (Listener listener in _listeners) Judge(listener.Pulse.Stop(), "a subscriber");
        if (publishes) JudgePublisher();
        _publishNoMore = true;
        Soon(() => _publisherEnded, "the publisher to end");
        Soon(() => _listeners.All(l => l.Next(1) == _published), "the newest message to be heard");
        StopOthers();
        idle?.Dispose();
        foreach (Listener listener in _listeners)
        {
            if (listener.Next(1) != _published) Findings.Lost++;
        }
    }

    protected override void Close()
    {
        _victim?.Dispose();
        _publisher?.Dispose();
        foreach (Listener listener in _listeners) listener.Dispose();
    }

    private void JudgePublisher()
    {
        int intended = Numbers("intent").LastOrDefault(-1), said = Numbers("sent").LastOrDefault(-1);
        int committed = (Kill && Fault.Fate == ExpectedOutcome.Done ? intended : said) + 1;
        Soon(() => _listeners.All(l => l.Next(3) >= committed), "what the victim published (I1)");
        if (Kill)
        {
            // Its successor's numbers follow its own, so that nobody counts a loss that was none.
            using MessagePublisher successor = Workspace.Transport.OpenPublisher(Name);
            for (int i = 0; i < 20; i++) Publish(successor, Payload.Make(3, committed + i, 40));
            committed += 20;
            Soon(() => _listeners.All(l => l.Next(3) == committed), "what its successor published");
        }

        foreach (Listener listener in _listeners)
        {
            if (listener.Next(3) != committed)
                Findings.Add($"I1, I2: of {committed} messages of the victim's lane {listener.Next(3)} were heard or lost");
        }
    }

    private void Publish()
    {
        while (!Stopping && !_publishNoMore)
        {
            Publish(_publisher!, Payload.Make(1, _published, Payload.HeaderBytes + _published * 7 % 300));
            _published++;
            _publishes.Beat();
            if (_published % 64 == 0) Thread.Sleep(1); // in bursts longer than the ring, so that everybody is lapped now and then
        }

        _publisherEnded = true;
    }

    private void Publish(MessagePublisher publisher, byte[] message)
    {
        long start = Stopwatch.GetTimestamp();
        // Where the scene ends early, the subscribers stop reading, and hold whoever still publishes.
        while (!publisher.TryPublish(message) && !Stopping)
        {
            if (!publisher.WaitToPublish(message.Length, TimeSpan.FromMilliseconds(100)) && Stopwatch.GetElapsedTime(start) > LongestHold)
                throw new TimeoutException("a subscriber held the publisher");
        }
    }

    private List<int> Numbers(string verb) =>
        [.. _victim!.Lines.Where(line => line.StartsWith(verb + " ", StringComparison.Ordinal)).Select(
            line => int.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture))];

    /// <summary>A subscriber of this process, and what it makes of what it hears.</summary>
    private sealed class Listener(Func<StartPosition, MessageSubscriber> open, Findings findings) : IDisposable
    {
        private readonly Dictionary<int, int> _next = [];
        private readonly HashSet<int> _unknown = [];
        private MessageSubscriber _subscriber = open(StartPosition.Now);

        public StallTimer Pulse { get; } = new();

        public int Next(int publisher)
        {
            lock (_next) return _next.GetValueOrDefault(publisher);
        }

        public void Listen(Func<bool> stopping)
        {
            while (!stopping())
            {
                TopicFrame message;
                try
                {
                    if (!_subscriber.TryReceive(out message))
                    {
                        _subscriber.WaitToReceive(TimeSpan.FromMilliseconds(100));
                        continue;
                    }
                }
                catch (SubscriberDisconnectedException)
                {
                    // On a busy machine it may really have been too slow; it was told, which is the promise. It begins anew.
                    _subscriber.Dispose();
                    _subscriber = open(StartPosition.Oldest);
                    lock (_next) _unknown.UnionWith([1, 3]);
                    continue;
                }

                Pulse.Beat();
                if (!Payload.TryRead(message.Bytes, out int publisher, out int sequence))
                {
                    findings.Add($"I2: a torn message {publisher}:{sequence}");
                    continue;
                }

                lock (_next)
                {
                    long expected = _next.GetValueOrDefault(publisher) + message.Lost;
                    if (!_unknown.Remove(publisher) && sequence != expected)
                    {
                        findings.Add($"I2, I4: {publisher}:{sequence} came where {publisher}:{expected} was due, with {message.Lost} lost");
                        if (sequence > expected) findings.Lost++;
                        else findings.Reordered++;
                    }

                    _next[publisher] = sequence + 1;
                }
            }
        }

        public void Dispose() => _subscriber.Dispose();
    }
}
