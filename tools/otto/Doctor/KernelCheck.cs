namespace Otto.Tools.Doctor;

// What the library uses of the kernel. Most of it has a substitute, which costs time or processor time.

internal static class KernelCheck
{
    private const string Area = "kernel";

    public static IEnumerable<Finding> Run(string directory)
    {
        string release = MachineFiles.Release;
        yield return Of("futex-waitv", "waits on many segments by one thread (futex_waitv)", KernelProbe.WaitVector(), release, "5.16",
            "asynchronous waits poll, so tasks start some milliseconds later");
        yield return Of("membarrier", "barriers in other processes (membarrier)", KernelProbe.GlobalBarrier(), release, "4.16",
            "each sender pays for a full fence per message, some 10 ns");
        yield return Of("memfd", "files without a directory (memfd_create)", KernelProbe.MemoryFile(), release, "3.17",
            "nothing of Otto.Ipc needs them; .NET may");
        KernelAnswer locks = KernelProbe.FileLocks(DirectoryCheck.Existing(directory), out KernelAnswer unnamed);
        yield return locks == KernelAnswer.Works
            ? Finding.Ok(Area, "file-locks", "locks of open files (F_OFD_SETLK) keep processes apart")
            : Finding.Problem(Area, "file-locks", $"locks of open files (F_OFD_SETLK) do not work in {directory}",
                "name a directory on tmpfs, ext4 or xfs in OTTO_SHM_DIR");
        if (unnamed != KernelAnswer.Works && KernelProbe.MayWrite(DirectoryCheck.Existing(directory)))
            yield return Finding.Problem(Area, "unnamed-files", $"the file system of {directory} has no files without a name (O_TMPFILE)",
                "name a directory on tmpfs, ext4 or xfs in OTTO_SHM_DIR");
        yield return KernelProbe.BootClock() == KernelAnswer.Works
            ? Finding.Ok(Area, "clock", "a clock that counts while the machine sleeps (CLOCK_BOOTTIME)")
            : Finding.Problem(Area, "clock", "no clock that counts while the machine sleeps (CLOCK_BOOTTIME)", "update the kernel");
        yield return MachineFiles.BootId is { } boot
            ? Finding.Ok(Area, "boot-id", $"boot id {boot}")
            : Finding.Note(Area, "boot-id",
                "the id of this boot cannot be read: on a disk, segments of an earlier boot are not recognized",
                $"show {SystemPaths.BootId} in the container");
        yield return KernelProbe.UnixSockets() == KernelAnswer.Works
            ? Finding.Ok(Area, "sockets", "Unix-domain sockets")
            : Finding.Problem(Area, "sockets", "no Unix-domain sockets: otto serve and its clients do not work",
                "allow AF_UNIX (RestrictAddressFamilies= of the unit, or the profile of the container)");
        if (KernelProbe.DirectoryWatches() != KernelAnswer.Works)
            yield return Finding.Note(Area, "watches",
                $"no further watch of directories (inotify; at most {MachineFiles.Setting("fs/inotify/max_user_instances")} per user)",
                "sysctl fs.inotify.max_user_instances=512");
    }

    private static Finding Of(string check, string what, KernelAnswer answer, string release, string since, string effect) => answer switch
    {
        KernelAnswer.Works => Finding.Ok(Area, check, what),
        KernelAnswer.Refused when MachineFiles.IsFiltered => Finding.Note(Area, check,
            $"no {what}: a seccomp filter refuses them; {effect}", "update the container's runtime or its seccomp profile"),
        _ when MachineFiles.IsFiltered => Finding.Note(Area, check,
            $"no {what}: kernel {release}, or a seccomp filter in front of it, does not have them; {effect}",
            $"Linux {since} or later, and a seccomp profile that knows it"),
        _ => Finding.Note(Area, check, $"no {what}: kernel {release} does not have them; {effect}", $"Linux {since} or later"),
    };
}
