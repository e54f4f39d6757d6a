namespace Otto.Ipc.Transports;

// A loan is a struct: its owner, not the copies, knows whether it was sent.

/// <summary>For transports: lent a <see cref="Loan"/>, or keeps the bytes of a <see cref="RetainedPayload"/>.</summary>
public interface ILoanOwner
{
    /// <summary>Takes a block back unsent; does nothing if it was sent or taken back.</summary>
    /// <param name="token">What the loan was made with.</param>
    void ReturnLoan(in SlotToken token);

    /// <summary>Ends a <see cref="RetainedPayload"/>.</summary>
    /// <param name="token">What it was made with.</param>
    void Release(in SlotToken token);
}
