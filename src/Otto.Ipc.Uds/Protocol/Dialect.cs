namespace Otto.Ipc.Uds.Protocol;

/// <summary>What a client speaks, decided by its first four bytes for good.</summary>
internal enum Dialect : byte
{
    Unknown,
    Text,
    Binary,
}
