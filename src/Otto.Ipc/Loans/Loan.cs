using Otto.Ipc.Transports;

namespace Otto.Ipc;

// A block of the transport's memory that is handed over by reference: written in place, sent by its name, read in place.

/// <summary>
/// A block of shared memory to be written in place and then sent, however large, for the price of a small message.
/// </summary>
/// <remarks>
/// Take it from the end through which it will be sent, fill <see cref="Memory"/>, send it there. Once sent it belongs
/// to its message and must not be touched. A loan that is not sent goes back with <see cref="Dispose"/>, or when this
/// process dies. Copies are the same loan. Its bytes are not cleared.
/// </remarks>
public readonly struct Loan : IDisposable, IEquatable<Loan>
{
    private readonly ILoanOwner? _owner;
    private readonly SlotToken _token;

    /// <summary>For transports: a loan of <paramref name="memory"/>.</summary>
    /// <param name="owner">The lender.</param>
    /// <param name="token">What the owner needs to find it again, never the same twice.</param>
    /// <param name="memory">The block.</param>
    public Loan(ILoanOwner owner, in SlotToken token, Memory<byte> memory)
    {
        _owner = owner;
        _token = token;
        Memory = memory;
    }

    /// <summary>The block, as long as was asked for. Do not use it once it was sent or disposed.</summary>
    public Memory<byte> Memory { get; }

    /// <summary>The block. Do not use it once it was sent or disposed.</summary>
    public Span<byte> Span => Memory.Span;

    /// <summary>Returns the block unsent; does nothing if it was sent or returned.</summary>
    public void Dispose() => _owner?.ReturnLoan(_token);

    /// <summary>For transports: what the loan was made with.</summary>
    /// <param name="owner">The caller.</param>
    /// <param name="token">The token, if <paramref name="owner"/> made this loan.</param>
    /// <returns>Whether it did.</returns>
    public bool TryGetToken(ILoanOwner owner, out SlotToken token)
    {
        token = _token;
        return ReferenceEquals(owner, _owner);
    }

    /// <inheritdoc/>
    public bool Equals(Loan other) => ReferenceEquals(_owner, other._owner) && _token == other._token;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is Loan other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => _token.GetHashCode();

    /// <summary>Whether two values are the same loan.</summary>
    /// <param name="left">One.</param>
    /// <param name="right">The other.</param>
    /// <returns>Whether they are the same.</returns>
    public static bool operator ==(Loan left, Loan right) => left.Equals(right);

    /// <summary>Whether two values are different loans.</summary>
    /// <param name="left">One.</param>
    /// <param name="right">The other.</param>
    /// <returns>Whether they differ.</returns>
    public static bool operator !=(Loan left, Loan right) => !left.Equals(right);
}
