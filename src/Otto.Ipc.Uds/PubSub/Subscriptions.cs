using System.Text;
using Otto.Ipc.Uds.Protocol;
using Otto.Ipc.Uds.Store;

namespace Otto.Ipc.Uds.PubSub;

// Which subscribers a name concerns. Patterns without wildcards are found by the name; only the others are tried one by one.

/// <summary>One pattern of one subscriber, and the number of the last event before it.</summary>
internal sealed record Subscription(Subscriber Subscriber, KeyPattern Pattern, Interests Interests, long Since);

/// <summary>All patterns of all subscribers.</summary>
internal sealed class Subscriptions
{
    private readonly Dictionary<byte[], List<Subscription>> _literal = new(Utf8Keys.Comparer);
    private readonly Dictionary<byte[], List<Subscription>>.AlternateLookup<ReadOnlySpan<byte>> _byName;
    private readonly List<Subscription> _patterns = [];

    public Subscriptions() => _byName = _literal.GetAlternateLookup<ReadOnlySpan<byte>>();

    public bool IsEmpty => _literal.Count == 0 && _patterns.Count == 0;

    public void Add(Subscription subscription)
    {
        if (subscription.Pattern.Literal is not { } literal)
        {
            _patterns.Add(subscription);
            return;
        }

        byte[] name = Encoding.UTF8.GetBytes(literal);
        if (!_literal.TryGetValue(name, out List<Subscription>? list)) _literal.Add(name, list = []);
        list.Add(subscription);
    }

    public void Remove(Subscription subscription)
    {
        if (subscription.Pattern.Literal is not { } literal)
        {
            _patterns.Remove(subscription);
            return;
        }

        byte[] name = Encoding.UTF8.GetBytes(literal);
        if (_literal.TryGetValue(name, out List<Subscription>? list) && list.Remove(subscription) && list.Count == 0) _literal.Remove(name);
    }

    /// <summary>Notifies every subscriber whose patterns match; a subscriber takes each event once.</summary>
    public void Notify(EventKind kind, byte[] name, Value? value, long sequence)
    {
        Interests wanted = kind == EventKind.Message ? Interests.Messages : Interests.Keys;
        if (_byName.TryGetValue(name, out List<Subscription>? named))
        {
            foreach (Subscription subscription in named)
            {
                if ((subscription.Interests & wanted) != 0) subscription.Subscriber.Notify(kind, name, value, sequence);
            }
        }

        if (_patterns.Count == 0) return;
        Span<char> buffer = stackalloc char[WireKey.MaxBytes];
        ReadOnlySpan<char> text = buffer[..Encoding.UTF8.GetChars(name, buffer)];
        foreach (Subscription subscription in _patterns)
        {
            if ((subscription.Interests & wanted) != 0 && subscription.Pattern.Matches(text))
                subscription.Subscriber.Notify(kind, name, value, sequence);
        }
    }
}
