using System.Globalization;

namespace Otto.Queue;

// Messages that this worker cannot read: another version of the program may read them, as in a rolling deployment. Each is given back,
// after a pause that grows, so that others can take it; what comes behind it is not held up. How often is counted here, since only this
// process knows that it cannot.

internal sealed class UnreadOffers(TimeProvider time)
{
    private const int MostKnown = 4096;

    // A quarter of a minute where no other worker is attached, most of one where there are some.
    private const int MostAlone = 6;
    private const int MostBesideOthers = 30;

    private static readonly TimeSpan First = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(8);

    // Short, and so often: this worker is awake for the message as it comes back, and may be the quicker one many times in a row.
    private static readonly TimeSpan LongestBesideOthers = TimeSpan.FromSeconds(2);

    private readonly Dictionary<TaskId, (int Count, long Since)> _offers = [];

    /// <summary>Decides whether a message is offered once more.</summary>
    /// <param name="id">Its task.</param>
    /// <param name="others">How many other workers are attached.</param>
    /// <param name="pause">How long no worker gets it.</param>
    /// <param name="history">Where it is not offered any more: how often it was, for the reason.</param>
    internal bool TryOffer(TaskId id, int others, out TimeSpan pause, out string history)
    {
        lock (_offers)
        {
            (int count, long since) = _offers.GetValueOrDefault(id, (0, time.GetTimestamp()));
            TimeSpan longest = others > 0 ? LongestBesideOthers : Longest;
            pause = TimeSpan.FromTicks(Math.Min(First.Ticks << Math.Min(count, 16), longest.Ticks));
            history = "";
            if (count >= (others > 0 ? MostBesideOthers : MostAlone))
            {
                _offers.Remove(id);
                history = string.Create(CultureInfo.InvariantCulture,
                    $"no worker could read it in {count} offers over {time.GetElapsedTime(since).TotalSeconds:0.#} s: ");
                return false;
            }

            // Bounded: the ids come from other processes. One that is forgotten is offered longer.
            if (_offers.Count >= MostKnown && !_offers.ContainsKey(id)) _offers.Remove(_offers.Keys.First());
            _offers[id] = (count + 1, since);
            return true;
        }
    }
}
