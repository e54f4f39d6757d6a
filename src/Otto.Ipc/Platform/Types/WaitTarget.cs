namespace Otto.Ipc.Platform;

/// <summary>A 32-bit word in shared memory that processes wait on.</summary>
/// <param name="Segment">The identity of the segment that holds it, the same in every process.</param>
/// <param name="Offset">Where in the segment it stands, the same in every process.</param>
/// <param name="Address">Where it is mapped in this process.</param>
internal readonly record struct WaitTarget(Guid Segment, long Offset, nint Address);
