using Otto.Tools.Ipc;

namespace Otto.Tools.Doctor;

// The limits of this process and of its group: a program started from the same shell or unit has the same.

internal static class LimitCheck
{
    private const string Area = "limits";
    private const long FewFiles = 256, UsualFiles = 1024, SmallMemory = 128L << 20, FewMappings = 4096, LittleAddressSpace = 2L << 30;

    public static IEnumerable<Finding> Run(string directory)
    {
        if (MachineFiles.LimitOf("Max open files") is { } files)
        {
            string text = files < 0 ? "no limit of open files" : $"at most {files} open files per process";
            yield return files is >= 0 and < FewFiles
                ? Finding.Problem(Area, "open-files", $"{text}: a queue takes 2, a client of the socket server 1",
                    $"ulimit -n {UsualFiles}, or LimitNOFILE={UsualFiles} in the unit") with { Value = files }
                : Finding.Ok(Area, "open-files", text) with { Value = files };
        }

        if (MachineFiles.LimitOf("Max address space") is >= 0 and var space)
        {
            yield return space < LittleAddressSpace
                ? Finding.Problem(Area, "address-space", $"at most {SegmentFormatter.Size(space)} of address space: .NET reserves more",
                    "ulimit -v unlimited; limit memory with a control group (MemoryMax=) instead") with { Value = space }
                : Finding.Note(Area, "address-space", $"at most {SegmentFormatter.Size(space)} of address space; mapped segments count",
                    "ulimit -v unlimited, if opening a segment fails for memory") with { Value = space };
        }

        if (MachineFiles.LimitOf("Max file size") is >= 0 and var size)
            yield return Finding.Note(Area, "file-size",
                $"no file over {SegmentFormatter.Size(size)} can be made: larger segments are refused",
                "ulimit -f unlimited, or LimitFSIZE=infinity in the unit") with { Value = size };
        if (MachineFiles.Setting("vm/max_map_count") is { } mappings)
            yield return mappings < FewMappings
                ? Finding.Problem(Area, "mappings", $"at most {mappings} mappings per process: each open segment and large task takes one",
                    "sysctl vm.max_map_count=65530") with { Value = mappings }
                : Finding.Ok(Area, "mappings", $"at most {mappings} mappings per process") with { Value = mappings };
        if (MachineFiles.GroupMemory is not { } memory) yield break;
        long free = Math.Max(0, memory.Limit - memory.Used);
        string counted = DirectoryCheck.IsInMemory(directory) ? "; segments in memory count" : "";
        string numbers = $"the control group has {SegmentFormatter.Size(free)} of {SegmentFormatter.Size(memory.Limit)} left{counted}";
        yield return memory.Limit < SmallMemory
            ? Finding.Note(Area, "group-memory", numbers, "raise the memory limit of the container or unit, or send small tasks")
                with { Value = free }
            : Finding.Ok(Area, "group-memory", numbers) with { Value = free };
    }
}
