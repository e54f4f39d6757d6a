namespace Otto.Ipc.Mmap.Regions;

// Named so that a test can stop or kill a writer before each step, or leave one out to prove that the tests would notice.

internal enum RegionWriteStep
{
    SaveForeignValue,
    WriteRedo,
    WriteRedoHeader,
    Commit,
    BeginFront,
    EndFront,
    Settle,
    Unlock,
}
