using System.Collections.Concurrent;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Segments;

// Who is attached. An entry says who somebody was; only the lock on its byte says that somebody is still there.
//
//  00       08    0C    10              18           20
//  +--------+-----+-----+---------------+------------+----------- - -
//  | ctl    | pid | role| pid namespace | start time | reserved (zero)
//  +--------+-----+-----+---------------+------------+----------- - -
//  ctl: state in bits 0..7 (0 free, 1 active), epoch above, one more for each user of the entry

/// <summary>What a participant does; the bits stand in the file.</summary>
[Flags]
internal enum ParticipantRoles
{
    None = 0,
    Sends = 1,
    Receives = 2,
    TakesWork = 4,
    Publishes = 8,
    Subscribes = 16,
    Lends = 32,
}

/// <summary>The entries that one kind of participant may take, so that one kind cannot crowd out another.</summary>
/// <param name="First">The lowest.</param>
/// <param name="Count">How many; negative for all.</param>
/// <param name="Who">The kind of participant, as named in the error message when all entries are taken.</param>
/// <param name="Option">The option that sets how many there are.</param>
internal readonly record struct ParticipantRange(int First, int Count, string Who, string Option)
{
    public static readonly ParticipantRange Any = new(0, -1, "participants", "MaxParticipants");
}

/// <summary>This process's entry in a segment, and its view of the others'.</summary>
internal sealed class Participants
{
    public const long Active = ParticipantEntry.Active, StateMask = ParticipantEntry.StateMask;
    public const int PidField = 0x08, RolesField = 0x0C, NamespaceField = 0x10;

    private const int LongestSweep = 2_000; // milliseconds
    private const int Neighbours = 2, RoundsUntilAll = 4;

    // One handle of a process looks for the dead of a segment: what it finds is repaired, and rung for, for all.
    private static readonly ConcurrentDictionary<Guid, Participants> Lookouts = new();

    private readonly SegmentFile _segment;
    private readonly Action<int, int> _sweep;
    private readonly ParticipantRange _seats;
    private static long s_probes;
    private int _rounds;
    private bool _repairedOnJoin;

    private Participants(SegmentFile segment, Action<int, int> sweep, ParticipantRange seats)
    {
        _segment = segment;
        _sweep = sweep;
        _seats = seats.Count < 0 ? seats with { Count = segment.Plan.MaxParticipants } : seats;
    }

    /// <summary>This participant's number: what shared words name it by. Negative for who only looks.</summary>
    public int Me { get; private set; } = -1;

    public int Count => _segment.Plan.MaxParticipants;

    /// <summary>How often this process has asked the kernel whether a participant lives, to find the dead.</summary>
    public static long Probes => Volatile.Read(ref s_probes);

    /// <summary>Takes a free entry, finishing first what a dead predecessor of that entry left.</summary>
    /// <param name="segment">Where.</param>
    /// <param name="roles">What this participant does.</param>
    /// <param name="sweep">Repairs what a dead participant held, on behalf of a live one;
    /// may run in several processes at once.</param>
    public static Participants Join(SegmentFile segment, ParticipantRoles roles, Action<int, int> sweep) =>
        Join(segment, roles, sweep, ParticipantRange.Any);

    /// <summary>Takes a free entry of those that <paramref name="seats"/> allows.</summary>
    public static Participants Join(SegmentFile segment, ParticipantRoles roles, Action<int, int> sweep, ParticipantRange seats)
    {
        Participants participants = Observe(segment, sweep, seats);
        return participants.TryJoin(roles)
            ? participants
            : throw new ParticipantLimitException(
                $"{segment.Path} has {participants._seats.Count:N0} {seats.Who}, which is its limit; dispose "
                + $"one, or create it with a higher {seats.Option}");
    }

    /// <summary>Checks the other participants, and sweeps them, without taking an entry.</summary>
    public static Participants Observe(SegmentFile segment, Action<int, int> sweep, ParticipantRange seats) => new(segment, sweep, seats);

    /// <summary>Takes an entry; for one thread, once.</summary>
    /// <returns><see langword="true"/> if an entry was taken; otherwise, <see langword="false"/>: live participants
    /// have all of them.</returns>
    public bool TryJoin(ParticipantRoles roles)
    {
        long end = Environment.TickCount64 + LongestSweep;
        do
        {
            // Clean entries first. Whoever takes a dead one's entry keeps all others from sweeping it, for
            // as long as it is stopped in there.
            if (TryEnterAny(roles, alsoDead: false) || TryEnterAny(roles, alsoDead: true)) return true;
        }
        while (SomeoneSweeps() && Environment.TickCount64 < end);
        return false;
    }

    public bool IsActive(int participant) => (Volatile.Read(ref Ctl(participant)) & StateMask) == Active;

    public ParticipantRoles Roles(int participant) => (ParticipantRoles)Volatile.Read(ref _segment.Mapping.Int(Offset(participant) + 0x0C));

    public int Pid(int participant) => Volatile.Read(ref _segment.Mapping.Int(Offset(participant) + 0x08));

    public void SetRoles(ParticipantRoles roles) => Volatile.Write(ref _segment.Mapping.Int(Offset(Me) + 0x0C), (int)roles);

    /// <summary>Whether the kernel still holds the participant's lock for it.</summary>
    public bool IsAlive(int participant) =>
        participant == Me || (IsActive(participant) && _segment.Locks.IsAlive(participant));

    /// <summary>
    /// Repairs what dead participants left, and frees their entries. The first call checks every participant. Of later
    /// calls, one handle of a process checks those that follow it until it has met two that live, so that all together
    /// ask the kernel twice for each participant. Now and then it checks every one, since the two may be stopped, and
    /// others may have joined at one moment.
    /// </summary>
    /// <returns>How many were swept here.</returns>
    public int SweepDead()
    {
        bool first = _rounds == 0;
        int round = _rounds++ & int.MaxValue;
        if (!first && Lookouts.GetOrAdd(_segment.Id, this) != this) return 0;
        bool all = first || (round + Math.Max(Me, 0)) % RoundsUntilAll == 0;
        int dead = 0, alive = 0;
        for (int n = 1; n <= Count && (all || alive < Neighbours); n++)
        {
            int i = (Math.Max(Me, 0) + n) % Count;
            if (i == Me) continue;
            if (FaultPoints.Plants("sweep.without-proof")) _sweep(i, Me); // what a timeout would do
            if (!all && IsUnused(i)) n += EndOfSeats(i) - i - 1;
            if (!IsActive(i)) continue;
            Interlocked.Increment(ref s_probes);
            if (_segment.Locks.IsAlive(i)) alive++;
            else if (TrySweep(i)) dead++;
        }

        _segment.Meter.Reclaimed(dead);
        // What the predecessor of this entry left was repaired when it was taken: the caller has the same to do about it.
        if (_repairedOnJoin) dead++;
        _repairedOnJoin = false;
        return dead;
    }

    /// <summary>Frees the entry. The entry's owner has released what it held before.</summary>
    public void Leave()
    {
        Lookouts.TryRemove(KeyValuePair.Create(_segment.Id, this));
        if (Me < 0) return;
        ref long ctl = ref Ctl(Me);
        // Release: pairs with the acquire in IsActive; the roles must be gone before the entry is.
        SetRoles(ParticipantRoles.None);
        if (FaultPoints.On) FaultPoints.Reach("leave.roles");
        Volatile.Write(ref ctl, Volatile.Read(ref ctl) & ~StateMask);
    }

    /// <summary>Checks whether an entry is held only by a sweeper, which releases it in a moment. If so, pauses that
    /// long.</summary>
    private bool SomeoneSweeps()
    {
        for (int i = _seats.First; i < _seats.First + _seats.Count; i++)
        {
            if (_segment.Locks.IsAlive(i)) continue;
            Thread.Sleep(1);
            return true;
        }

        return false;
    }

    /// <summary>Whether an entry never had a user. Entries are taken from the lowest on, so those behind it, up to the
    /// end of their kind, have none either, except where several join at this moment.</summary>
    private bool IsUnused(int participant) => Volatile.Read(ref Ctl(participant)) == 0;

    private int EndOfSeats(int participant) =>
        participant < _seats.First ? _seats.First
        : participant < _seats.First + _seats.Count ? _seats.First + _seats.Count : Count;

    private bool TryEnterAny(ParticipantRoles roles, bool alsoDead)
    {
        for (int i = _seats.First; i < _seats.First + _seats.Count; i++)
        {
            if (!alsoDead && IsActive(i)) continue;
            // The write lock is the entry. Until it is held, nothing of the entry may be touched.
            if (!_segment.Locks.TryHoldParticipant(i)) continue;
            if (alsoDead || !IsActive(i))
            {
                Enter(i, roles);
                return true;
            }

            _segment.Locks.ReleaseParticipant(i); // somebody joined and died since the first look
        }

        return false;
    }

    private void Enter(int i, ParticipantRoles roles)
    {
        Me = i;
        if (FaultPoints.On) FaultPoints.Reach("join.locked");
        ref long ctl = ref Ctl(i);
        if ((Volatile.Read(ref ctl) & StateMask) != 0)
        {
            // The predecessor is dead, or this lock could not be held. Its words name this number, so they are repaired before it is used.
            // Its roles go first: under this lock its entry looks alive to whoever counts workers.
            SetRoles(ParticipantRoles.None);
            _sweep(i, i);
            _repairedOnJoin = true;
        }

        SegmentMapping m = _segment.Mapping;
        long at = Offset(i);
        m.Int(at + 0x08) = Environment.ProcessId;
        m.Int(at + 0x0C) = (int)roles;
        m.Long(at + 0x10) = (long)ProcessIdentity.PidNamespace;
        m.Long(at + 0x18) = (long)ProcessIdentity.StartTime;
        if (FaultPoints.On) FaultPoints.Reach("join.described");
        // Release: pairs with the acquire in IsActive; whoever sees an active entry sees who it is.
        Volatile.Write(ref ctl, ((((Volatile.Read(ref ctl) >>> 8) + 1) << 8) & ~StateMask) | Active);
    }

    private bool TrySweep(int dead)
    {
        // A descriptor of its own: the lock proves the death, lasts as long as the sweep, and keeps the number from being used again.
        // Only a read lock, since every step of a sweep may be taken by several at once: a sweeper that is stopped stops nobody.
        using ParticipantLocks proof = _segment.OpenLocks();
        if (!proof.TryProveDead(dead)) return false;
        long seen = Volatile.Read(ref Ctl(dead));
        if ((seen & StateMask) != Active) return false;
        _sweep(dead, Me);
        if (FaultPoints.On) FaultPoints.Reach("sweep.done");
        // Exact: a later user of the entry has another epoch, and is not freed by a sweeper that was stopped here.
        Interlocked.CompareExchange(ref Ctl(dead), seen & ~StateMask, seen);
        if (FaultPoints.On) FaultPoints.Reach("sweep.freed");
        // True whoever freed it: what this sweep appended has to be rung for.
        return true;
    }

    private ref long Ctl(int participant) => ref _segment.Mapping.Long(Offset(participant));

    private static long Offset(int participant) => ParticipantEntry.Offset(participant);
}
