using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

// Compiled into every test project, and outside any namespace, so that NUnit runs it around all tests of the assembly: what the process
// that runs the tests needs from its surroundings, and what it must not leave behind.

/// <summary>Prepares the process that runs the tests, and fails a test project that leaves
/// another process running.</summary>
[SetUpFixture]
internal sealed partial class TestHost
{
    private const string Mark = "TEST_HOST_MARK";
    private const int Hangup = 1, Interrupt = 2, Quit = 3, Kill = 9, Terminate = 15;

    // A killed process needs a moment to leave the process table.
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    private readonly string _mark = $"{Environment.ProcessId}-{Guid.NewGuid():n}";
    private PosixSignalRegistration? _hangup;

    [OneTimeSetUp]
    public void Prepare()
    {
        Environment.SetEnvironmentVariable(Mark, _mark);
        RestoreSignals();
    }

    [OneTimeTearDown]
    public void Check()
    {
        _hangup?.Dispose();
        string[] left = EndProcesses($"{Mark}={_mark}", Limit);
        if (left.Length > 0) Assert.Fail($"processes were left running, and have now been killed:\n{string.Join('\n', left)}");
    }

    /// <summary>Waits until no process has this variable in its environment, and kills
    /// those that still have it after the limit.</summary>
    /// <returns>What had to be killed: process ids and command lines.</returns>
    internal static string[] EndProcesses(string variable, TimeSpan limit)
    {
        List<(int Id, string Command)> left = [];
        if (SpinWait.SpinUntil(() => (left = FindProcesses(variable)).Count == 0, limit)) return [];
        foreach ((int id, _) in left) _ = SendSignal(id, Kill);
        return [.. left.Select(static p => $"{p.Id} {p.Command}")];
    }

    // The environment is inherited by all descendants, however they were detached from their parents.
    private static List<(int Id, string Command)> FindProcesses(string variable)
    {
        byte[] wanted = Encoding.UTF8.GetBytes('\0' + variable + '\0');
        List<(int, string)> found = [];
        foreach (string directory in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(directory), NumberStyles.None, CultureInfo.InvariantCulture, out int id)) continue;
            if (id == Environment.ProcessId) continue;
            try
            {
                byte[] environment = [0, .. File.ReadAllBytes(Path.Combine(directory, "environ"))];
                if (environment.AsSpan().IndexOf(wanted) < 0) continue;
                found.Add((id, File.ReadAllText(Path.Combine(directory, "cmdline")).Replace('\0', ' ').TrimEnd()));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It has ended, or belongs to another user.
            }
        }

        return found;
    }

    // An ignored signal is inherited: SIGHUP from nohup, SIGINT and SIGQUIT from "&" in a script. A program that is to end on the signal
    // would not, and a shell cannot even trap it. The test host itself still ignores SIGHUP, by a handler, which is not inherited.
    private void RestoreSignals()
    {
        string line = File.ReadLines("/proc/self/status").First(static l => l.StartsWith("SigIgn:", StringComparison.Ordinal));
        ulong ignored = ulong.Parse(line["SigIgn:".Length..].Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        foreach (int signal in (int[])[Hangup, Interrupt, Quit, Terminate])
        {
            if ((ignored & (1UL << (signal - 1))) == 0) continue;
            _ = SetAction(signal, 0);
            if (signal == Hangup) _hangup = PosixSignalRegistration.Create(PosixSignal.SIGHUP, static context => context.Cancel = true);
        }
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int SendSignal(int process, int signal);

    [LibraryImport("libc", EntryPoint = "signal")]
    private static partial nint SetAction(int signal, nint action);
}
