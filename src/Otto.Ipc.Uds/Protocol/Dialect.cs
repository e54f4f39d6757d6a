namespace Otto.Ipc.Uds.Protocol;

/// <summary>The protocol that a client uses. The first four bytes of the client determine it permanently.</summary>
internal enum Dialect : byte
{
    Unknown,
    Text,
    Binary,
}
