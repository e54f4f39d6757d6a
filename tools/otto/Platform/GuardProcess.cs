using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Otto.Tools.Platform;

// A second process beside a worker that runs commands. It holds a pipe to the worker and kills the commands' process groups when the pipe
// ends: the worker is dead then, whatever ended it. Each run of a command is announced before it starts, so that none is missed: the one
// whose process was not yet named is found by its environment.

internal static unsafe partial class GuardProcess
{
    /// <summary>The first argument that makes the program a guard; the second is after how many milliseconds of silence
    /// it kills the groups of a worker that lives, 0 for never.</summary>
    public const string Command = "command-guard";

    /// <summary>The variable by which a command's process is found.</summary>
    public const string Variable = "OTTO_TASK_RUN";

    private const int Hangup = 1, Interrupt = 2, Quit = 3, Kill = 9, Ignore = 1, SetName = 15, Eintr = 4;
    private const short PollIn = 1;

    // How long a process that was started as its worker died may take to be what it is to be.
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(1);

    /// <summary>Runs until the worker has ended.</summary>
    public static int Run(string[] arguments)
    {
        // Not "otto": what kills all programs of that name is not to kill this one.
        fixed (byte* name = "command-guard\0"u8) _ = ControlProcess(SetName, (nint)name, 0, 0, 0);
        foreach (int signal in (int[])[Hangup, Interrupt, Quit, ProcessSignals.Terminate]) _ = SetHandler(signal, Ignore);
        int silence = arguments is [_, var text] ? int.Parse(text, CultureInfo.InvariantCulture) : 0;
        byte started = (byte)'\n';
        _ = Write(1, &started, 1);
        Dictionary<string, int> runs = []; // 0 where the process is not known yet
        StringBuilder line = new();
        byte* buffer = stackalloc byte[4096];
        while (true)
        {
            int ready = DescriptorPoll.Wait(0, PollIn, runs.Count > 0 && silence > 0 ? silence : -1, out _);
            if (ready == 0) EndAll(runs);
            if (ready <= 0) continue;
            nint read = Read(0, buffer, 4096);
            if (read < 0 && Marshal.GetLastPInvokeError() == Eintr) continue;
            if (read <= 0) break;
            foreach (byte character in new ReadOnlySpan<byte>(buffer, (int)read))
            {
                if (character != '\n')
                {
                    line.Append((char)character);
                    continue;
                }

                Hear(line.ToString(), runs);
                line.Clear();
            }
        }

        EndAll(runs);
        return 0;
    }

    /// <summary>What the worker writes before it starts a command.</summary>
    public static string Announce(string run) => $"+{run}\n";

    /// <summary>What the worker writes when the command has started.</summary>
    public static string Started(string run, int group) => string.Create(CultureInfo.InvariantCulture, $"={run} {group}\n");

    /// <summary>What the worker writes when the command has ended.</summary>
    public static string Ended(string run) => $"-{run}\n";

    /// <summary>What the worker writes to say that it runs.</summary>
    public const string Beat = ".\n";

    private static void Hear(string line, Dictionary<string, int> runs)
    {
        switch (line)
        {
            case ['+', ..]:
                runs[line[1..]] = 0;
                break;
            case ['=', ..] when line[1..].Split(' ') is [var run, var group]:
                runs[run] = int.Parse(group, CultureInfo.InvariantCulture);
                break;
            case ['-', ..]:
                runs.Remove(line[1..]);
                break;
        }
    }

    private static void EndAll(Dictionary<string, int> runs)
    {
        foreach (int group in runs.Values)
            if (group > 0) ProcessGroup.Signal(group, Kill);
        string[] unknown = [.. runs.Where(static run => run.Value == 0).Select(static run => run.Key)];
        runs.Clear();
        for (long start = Environment.TickCount64; unknown.Length > 0
            && Environment.TickCount64 - start < StartLimit.TotalMilliseconds; Thread.Sleep(10))
            unknown = [.. unknown.Where(static run => !EndByEnvironment(run))];
    }

    private static bool EndByEnvironment(string run)
    {
        byte[] wanted = Encoding.UTF8.GetBytes($"\0{Variable}={run}\0");
        bool found = false;
        foreach (string directory in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(directory), NumberStyles.None, CultureInfo.InvariantCulture, out int id)) continue;
            try
            {
                byte[] environment = [0, .. File.ReadAllBytes(Path.Combine(directory, "environ"))];
                if (environment.AsSpan().IndexOf(wanted) < 0) continue;
                ProcessGroup.Signal(id, Kill); // The program leads its group; its own children do not.
                found = true;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It has ended, or is another user's.
            }
        }

        return found;
    }

    [LibraryImport("libc", EntryPoint = "prctl")]
    private static partial int ControlProcess(int what, nint first, nint second, nint third, nint fourth);

    [LibraryImport("libc", EntryPoint = "signal")]
    private static partial nint SetHandler(int signal, nint handler);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint Read(int descriptor, byte* bytes, nint length);

    [LibraryImport("libc", EntryPoint = "write")]
    private static partial nint Write(int descriptor, byte* bytes, nint length);
}
