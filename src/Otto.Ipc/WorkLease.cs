using Otto.Ipc.Transports;

namespace Otto.Ipc;

// One message in a worker's hands. A struct, so that taking work allocates nothing; it may cross an await.

/// <summary>
/// One message that this process holds. Complete it, abandon it, or put it among the dead letters; the first of these
/// counts.
/// </summary>
/// <remarks>
/// Copies are the same lease. The payload is in the transport's memory and is valid until the lease ends.
/// A lease that is not ended is held until this process dies.
/// </remarks>
public readonly struct WorkLease : IEquatable<WorkLease>
{
    private readonly IWorkLeaseOwner? _owner;
    private readonly SlotToken _token;

    /// <summary>For transports: a lease over <paramref name="payload"/>.</summary>
    /// <param name="owner">The owner, notified of how the lease ended.</param>
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

    /// <summary>The message, in place. Do not use it once the lease has ended.</summary>
    public ReadOnlyMemory<byte> Payload { get; }

    /// <summary>
    /// Which attempt this is: 1 at first, one more after each abandon that counts and each death of a holder.
    /// </summary>
    public int Attempt { get; }

    /// <summary>Marks the work as done: the message is never delivered again.</summary>
    /// <returns>
    /// <see langword="true"/> if this ended the lease; <see langword="false"/> if it had ended already.
    /// </returns>
    public bool Complete() => _owner?.Complete(_token) ?? false;

    /// <summary>Marks the work as done, as <see cref="Complete()"/> does, and keeps its result in the queue until
    /// it is collected (<see cref="LabelledWorkQueue.TryTakeResult"/>) or its time is over. Both or neither happen,
    /// whenever this process dies.</summary>
    /// <param name="result">The result; kept only if the message was sent with
    /// <see cref="MessageLabels.KeepResult"/>.</param>
    /// <returns>
    /// <see langword="true"/> if this ended the lease; <see langword="false"/> if it had ended already.
    /// </returns>
    /// <exception cref="IOException">There is no room for a result of this size, and the lease continues.</exception>
    /// <exception cref="NotSupportedException">The queue is no <see cref="LabelledWorkQueue"/>.</exception>
    public bool Complete(ReadOnlySpan<byte> result) => _owner?.Complete(_token, result) ?? false;

    /// <summary>Leaves the message to workers that take its subject (<see cref="LabelledWorkQueue.SetSubjects"/>). It
    /// waits for them, and this handle does not get it again unless it takes the subject too.</summary>
    /// <param name="subject">The subject, as a hash.</param>
    /// <returns>
    /// <see langword="true"/> if this ended the lease; <see langword="false"/> if it had ended already.
    /// </returns>
    /// <exception cref="NotSupportedException">The queue is no <see cref="LabelledWorkQueue"/>.</exception>
    public bool PassOver(ulong subject) => _owner?.PassOver(_token, subject) ?? false;

    /// <summary>Gives the message back, to be leased again.</summary>
    /// <param name="countAttempt">
    /// Whether this try counts: <see langword="false"/> for work that was never started.
    /// </param>
    /// <returns>
    /// <see langword="true"/> if this ended the lease; <see langword="false"/> if it had ended already.
    /// </returns>
    /// <remarks>A counted try past the queue's attempt limit puts the message among the dead letters instead.</remarks>
    public bool Abandon(bool countAttempt = true) => Abandon(countAttempt, TimeSpan.Zero);

    /// <summary>Gives the message back, to be leased again once <paramref name="delay"/> has passed.</summary>
    /// <param name="countAttempt">Whether this try counts.</param>
    /// <param name="delay">
    /// The shortest time until it is leased again: 0 to <see cref="WorkQueue.MaxDelay"/>. Until then the death of
    /// this process does not affect it.
    /// </param>
    /// <returns>
    /// <see langword="true"/> if this ended the lease; <see langword="false"/> if it had ended already.
    /// </returns>
    /// <remarks>A counted try past the queue's attempt limit puts the message among the dead letters instead.</remarks>
    public bool Abandon(bool countAttempt, TimeSpan delay) => _owner?.Abandon(_token, countAttempt, delay) ?? false;

    /// <summary>
    /// Marks the work as done for now: the message is delivered again once <paramref name="delay"/> has passed, as if
    /// it were new, with its attempts reset.
    /// </summary>
    /// <param name="delay">The shortest time until it is leased again: 0 to <see cref="WorkQueue.MaxDelay"/>.</param>
    /// <returns>
    /// <see langword="true"/> if this ended the lease; <see langword="false"/> if it had ended already.
    /// </returns>
    /// <exception cref="ArgumentOutOfRangeException">The delay is out of its range.</exception>
    public bool Repeat(TimeSpan delay) => _owner?.Repeat(_token, delay) ?? false;

    /// <summary>
    /// Gives the message up: it stays in the queue's dead-letter list until it is requeued or deleted.
    /// </summary>
    /// <param name="reason">The reason, for a person to read; cut if it is too long to keep.</param>
    /// <returns>
    /// <see langword="true"/> if this ended the lease; <see langword="false"/> if it had ended already.
    /// </returns>
    public bool DeadLetter(string reason) => _owner?.DeadLetter(_token, reason) ?? false;

    /// <summary>Whether a process asked to cancel the message while it was held, in this lease or an earlier
    /// one.</summary>
    /// <remarks>Kept by the queue, so that the holder's death does not undo it. <see langword="false"/> on a queue that
    /// cannot keep it.</remarks>
    public bool IsCancelRequested => _owner?.IsCancelRequested(_token) ?? false;

    /// <summary>Reports to the queue how this process works on the message, for the case that the process
    /// dies.</summary>
    /// <param name="handling">How.</param>
    public void SetHandling(WorkHandling handling) => _owner?.SetHandling(_token, handling);

    /// <summary>Gets what happened to the message in earlier leases.</summary>
    /// <returns>What the queue knows; nothing on a queue that does not keep it.</returns>
    public DeliveryHistory GetHistory() => _owner?.GetHistory(_token) ?? default;

    /// <summary>Keeps the payload readable after this lease has ended.</summary>
    /// <returns>The payload, valid until it is disposed: in place if it is large, a copy if it is small.</returns>
    /// <exception cref="InvalidOperationException">The lease has ended.</exception>
    public RetainedPayload Retain() => _owner is { } owner
        ? new RetainedPayload(owner.Retain(_token, Payload))
        : throw new InvalidOperationException("there is no lease to hold a payload of");

    /// <summary>For transports: what the lease was made with.</summary>
    /// <param name="owner">The caller.</param>
    /// <param name="token">The token, if <paramref name="owner"/> made this lease.</param>
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
