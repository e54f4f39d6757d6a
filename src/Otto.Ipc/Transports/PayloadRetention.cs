namespace Otto.Ipc.Transports;

// What a RetainedPayload is made from.

/// <summary>For transports: bytes that stay readable after their lease has ended.</summary>
/// <param name="Payload">The bytes.</param>
/// <param name="Owner">
/// The owner to notify when they are released; <see langword="null"/> if the bytes are a copy.
/// </param>
/// <param name="Token">What the owner needs to find them again.</param>
public readonly record struct PayloadRetention(ReadOnlyMemory<byte> Payload, ILoanOwner? Owner = null, SlotToken Token = default);
