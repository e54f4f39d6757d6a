namespace Otto.Ipc.Files;

// How much a change is worth: the kernel keeps what a killed process wrote, a flush is for when the machine itself stops.

/// <summary>What a change survives once the call that made it has returned.</summary>
public enum FlushLevel
{
    /// <summary>The death of every process; a power failure may take the newest changes
    /// with it. Right for the data of a run.</summary>
    None,

    /// <summary>The bytes are on the disk; after a power failure the name may still lead to the old file.</summary>
    File,

    /// <summary>The bytes and the name are on the disk: what was answered survives a power failure.</summary>
    FileAndDirectory,
}
