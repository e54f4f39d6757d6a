namespace Otto.Tools.Doctor;

// logind removes what a user has in shared memory when the last session of that user ends, unless it is a user of the system.

internal static class SessionCheck
{
    private const string Area = "session";
    private const uint FirstPerson = 1000;

    public static IEnumerable<Finding> Run(string directory)
    {
        if (!directory.StartsWith(SystemPaths.SharedMemory + "/", StringComparison.Ordinal)) yield break;
        if (MachineFiles.RemovesAtLogout is not { } logind) yield break;
        uint me = KernelProbe.UserNumber;
        string name = MachineFiles.NameOf(me) ?? $"#{me}";
        if (!logind.Removes) yield return Finding.Ok(Area, "remove-ipc", $"RemoveIPC=no ({logind.Source})");
        else if (me < FirstPerson) yield return Finding.Ok(Area, "remove-ipc", $"user {me} is a user of the system: RemoveIPC spares it");
        else if (MachineFiles.Lingers(name)) yield return Finding.Ok(Area, "remove-ipc", $"{name} lingers: RemoveIPC spares the user");
        else
            yield return Finding.Problem(Area, "remove-ipc",
                $"RemoveIPC=yes ({logind.Source}): segments of {name} are deleted when the last session of {name} ends",
                $"loginctl enable-linger {name}, or RemoveIPC=no in /etc/systemd/logind.conf, or a directory of a service in OTTO_SHM_DIR");
    }
}
