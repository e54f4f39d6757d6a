namespace Otto.Ipc;

// One message in a worker's hands. A struct, so that taking work allocates nothing; it may cross an await.

/// <summary>One message that this process holds. Complete it, abandon it, or put it among the dead letters; the first of these counts.</summary>
/// <remarks>
/// Copies are the same lease. The payload lies in the transport's memory and is valid until the lease ends.
/// A lease that nobody ends is held until this process dies.
/// </remarks>
public readonly struct WorkLease : IEquatable<WorkLease>
{
    private readonly IWorkLeaseOwner? _owner;
    private readonly SlotToken _token;

    /// <summary>For transports: a lease over <paramref name="payload"/>.</summary>
    /// <param name="owner">Who is told how the lease ended.</param>
    /// <param name="token">What the owner needs to find the message again.</param>
    /// <param name="payload">The message.</param>
    /// <param name="attempt">Which attempt this is, from 1.</param>
    public WorkLease(IWorkLeaseOwner owner, in SlotToken token, ReadOnlyMemory<byte> payload, int attempt)
    {
        _owner = owner;
        _token = token;
        Payload = payload;
        Attempt = attempt;
    }

    /// <summary>The message, in place. Not to be touched once the lease has ended.</summary>
    public ReadOnlyMemory<byte> Payload { get; }

    /// <summary>Which attempt this is: 1 at first, one more after each abandon that counts and each death of a holder.</summary>
    public int Attempt { get; }

    /// <summary>Says that the work is done: the message is never delivered again.</summary>
    /// <returns><see langword="false"/> where this lease had ended already.</returns>
    public bool Complete() => _owner?.Complete(_token) ?? false;

    /// <summary>Gives the message back, to be leased again.</summary>
    /// <param name="countAttempt">Whether this try counts: <see langword="false"/> for work that was never started.</param>
    /// <returns><see langword="false"/> where this lease had ended already.</returns>
    /// <remarks>A counted try past the queue's attempt limit puts the message among the dead letters instead.</remarks>
    public bool Abandon(bool countAttempt = true) => Abandon(countAttempt, TimeSpan.Zero);

    /// <summary>Gives the message back, to be leased again once <paramref name="delay"/> has passed.</summary>
    /// <param name="countAttempt">Whether this try counts.</param>
    /// <param name="delay">How long nobody gets it, at least: 0 to <see cref="IWorkQueue.MaxDelay"/>. Until then its holder's death does not matter to it.</param>
    /// <returns><see langword="false"/> where this lease had ended already.</returns>
    /// <remarks>A counted try past the queue's attempt limit puts the message among the dead letters instead.</remarks>
    public bool Abandon(bool countAttempt, TimeSpan delay) => _owner?.Abandon(_token, countAttempt, delay) ?? false;

    /// <summary>Says that the work is done for this time: the message comes again once <paramref name="delay"/> has passed, as if it were new, its attempts forgotten.</summary>
    /// <param name="delay">How long nobody gets it, at least: 0 to <see cref="IWorkQueue.MaxDelay"/>.</param>
    /// <returns><see langword="false"/> where this lease had ended already.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The delay is out of its range.</exception>
    public bool Repeat(TimeSpan delay) => _owner?.Repeat(_token, delay) ?? false;

    /// <summary>Gives the message up: it stays in the queue's dead-letter list until somebody requeues or drops it.</summary>
    /// <param name="reason">Why, for the person who looks; cut where it is too long to keep.</param>
    /// <returns><see langword="false"/> where this lease had ended already.</returns>
    public bool DeadLetter(string reason) => _owner?.DeadLetter(_token, reason) ?? false;

    /// <summary>Keeps the payload readable after this lease has ended.</summary>
    /// <returns>The payload, until that is disposed: where it is where it is large, a copy where it is small.</returns>
    /// <exception cref="InvalidOperationException">The lease has ended.</exception>
    public RetainedPayload Hold() => _owner?.Hold(_token, Payload) ?? throw new InvalidOperationException("there is no lease to hold a payload of");

    /// <summary>For transports: what the lease was made with.</summary>
    /// <param name="owner">Who asks.</param>
    /// <param name="token">The token, where <paramref name="owner"/> made this lease.</param>
    /// <returns>Whether it did.</returns>
    public bool TryGetToken(IWorkLeaseOwner owner, out SlotToken token)
    {
        token = _token;
        return ReferenceEquals(owner, _owner);
    }

    /// <inheritdoc/>
    public bool Equals(WorkLease other) => ReferenceEquals(_owner, other._owner) && _token == other._token;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is WorkLease other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => _token.GetHashCode();

    /// <summary>Whether two values are the same lease.</summary>
    /// <param name="left">One.</param>
    /// <param name="right">The other.</param>
    /// <returns>Whether they are the same.</returns>
    public static bool operator ==(WorkLease left, WorkLease right) => left.Equals(right);

    /// <summary>Whether two values are different leases.</summary>
    /// <param name="left">One.</param>
    /// <param name="right">The other.</param>
    /// <returns>Whether they differ.</returns>
    public static bool operator !=(WorkLease left, WorkLease right) => !left.Equals(right);
}

/// <summary>For transports: who is told how a <see cref="WorkLease"/> ended.</summary>
public interface IWorkLeaseOwner
{
    /// <summary>Ends a lease as done.</summary>
    /// <param name="token">What the lease was made with.</param>
    /// <returns>Whether the lease was still held.</returns>
    bool Complete(in SlotToken token);

    /// <summary>Ends a lease by giving the message back.</summary>
    /// <param name="token">What the lease was made with.</param>
    /// <param name="countAttempt">Whether the try counts.</param>
    /// <param name="delay">How long nobody gets it again.</param>
    /// <returns>Whether the lease was still held.</returns>
    bool Abandon(in SlotToken token, bool countAttempt, TimeSpan delay);

    /// <summary>Ends a lease by giving the message back as new: no attempt was made.</summary>
    /// <param name="token">What the lease was made with.</param>
    /// <param name="delay">How long nobody gets it again.</param>
    /// <returns>Whether the lease was still held.</returns>
    bool Repeat(in SlotToken token, TimeSpan delay);

    /// <summary>Keeps a lease's payload beyond the lease.</summary>
    /// <param name="token">What the lease was made with.</param>
    /// <param name="payload">The payload as the lease has it.</param>
    /// <returns>The hold.</returns>
    /// <exception cref="InvalidOperationException">The lease has ended.</exception>
    RetainedPayload Hold(in SlotToken token, ReadOnlyMemory<byte> payload);

    /// <summary>Ends a lease by giving the message up.</summary>
    /// <param name="token">What the lease was made with.</param>
    /// <param name="reason">Why.</param>
    /// <returns>Whether the lease was still held.</returns>
    bool DeadLetter(in SlotToken token, string reason);
}
