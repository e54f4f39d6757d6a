using System.Collections;
using System.Globalization;
using System.Text;
using Otto.Ipc.Hosting;

namespace Otto.Tools.Doctor;

// Variables that begin with OTTO_: a name that no program reads, and a value that none accepts. docs/configuration.md lists them.

internal static class VariableCheck
{
    private const string Area = "variables", Prefix = "OTTO_";
    private const int LongestSocketPath = 107;

    private static readonly string[] Known =
    [
        "OTTO_TRANSPORT", "OTTO_SHM_DIR", "OTTO_SOCKET", "OTTO_SOCKET_TRUST_OWNER", "OTTO_FIFO_DIR", "OTTO_TASKS_DIR", "OTTO_HOME",
        "OTTO_MMAP_PATH", "OTTO_MMAP_DIR", "OTTO_PID", "OTTO_TASK_NAME", "OTTO_TASK", "OTTO_REDIS", "OTTO_REDIS_PREFIX",
        "OTTO_COMPLETION_MS",
        "OTTO_PLATFORM", "OTTO_FENCE", "OTTO_TIMEOUT", "OTTO_NETCAT", "OTTO_INPUT_PIPE", "OTTO_OUTPUT_PIPE",
        "OTTO_TASK_ID", "OTTO_TASK_QUEUE", "OTTO_TASK_ATTEMPT", "OTTO_TASK_RUN",
    ];

    public static IEnumerable<Finding> Run()
    {
        List<Finding> found = [];
        int set = 0;
        foreach (DictionaryEntry variable in Environment.GetEnvironmentVariables())
        {
            if (variable.Key is not string name || !name.StartsWith(Prefix, StringComparison.Ordinal)) continue;
            set++;
            string value = variable.Value as string ?? "";
            if (Problem(name, value) is { } change) found.Add(Finding.Problem(Area, name, $"{name}={Shown(name, value)}", change));
            else if (!Known.Contains(name) && !IsInternal(name))
                found.Add(Finding.Note(Area, name, $"{name} is set, and no program reads it", $"did you mean {Nearest(name)}?"));
        }

        return found.Count > 0 ? found.OrderBy(static f => f.Check, StringComparer.Ordinal)
            : [Finding.Ok(Area, "variables", $"{set} variables begin with {Prefix}, all with a value that works")];
    }

    private static string? Problem(string name, string value) => name switch
    {
        _ when value.Length == 0 => null, // As if it were not set.
        "OTTO_TRANSPORT" => Refusal(value),
        "OTTO_PLATFORM" when value != "portable" => "portable is the only value; unset it for Linux",
        "OTTO_FENCE" when value != "full" => "full is the only value; unset it otherwise",
        "OTTO_SOCKET_TRUST_OWNER" when value != "1" => "1 is the only value; unset it otherwise",
        "OTTO_SOCKET" when Encoding.UTF8.GetByteCount(Path.GetFullPath(value)) > LongestSocketPath =>
            $"a socket's path has at most {LongestSocketPath} bytes; choose a shorter one",
        "OTTO_COMPLETION_MS" or "OTTO_PID" when !int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            || number <= 0 => "it must be a number, 1 or more",
        "OTTO_TIMEOUT" when !double.TryParse(value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out _) =>
            "it must be a number of seconds",
        "OTTO_SHM_DIR" or "OTTO_FIFO_DIR" or "OTTO_MMAP_DIR" when !Path.IsPathFullyQualified(value) =>
            "name a full path: a relative one is another directory for each program",
        "OTTO_MMAP_DIR" when !Directory.Exists(value) => "the directory does not exist; create it, or name another",
        "OTTO_TASK_NAME" or "OTTO_TASK" when !value.All(static c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-') =>
            "a task's name has letters, digits, '.', '_' and '-'",
        _ => null,
    };

    private static string? Refusal(string address)
    {
        try
        {
            (OttoTransport.Open(address) as IDisposable)?.Dispose();
            return null;
        }
        catch (Exception e) when (e is ArgumentException or IOException or UnauthorizedAccessException or PlatformNotSupportedException)
        {
            return e.Message;
        }
    }

    // Secrets of a server stay out of what people paste elsewhere.
    private static string Shown(string name, string value) => name == "OTTO_REDIS" ? "..." : value;

    private static bool IsInternal(string name) => name.StartsWith("OTTO_TEST_", StringComparison.Ordinal)
        || name.StartsWith("OTTO_FAULT_", StringComparison.Ordinal) || name.StartsWith("OTTO_BENCH_", StringComparison.Ordinal)
        || name is "OTTO_LONG_TESTS" or "OTTO_DEMO_REDIS";

    private static string Nearest(string name) => Known.MinBy(known => Distance(name, known))!;

    private static int Distance(string one, string other)
    {
        int[] row = [.. Enumerable.Range(0, other.Length + 1)];
        for (int i = 1; i <= one.Length; i++)
        {
            int corner = row[0];
            row[0] = i;
            for (int j = 1; j <= other.Length; j++)
            {
                int above = row[j];
                row[j] = Math.Min(Math.Min(row[j], row[j - 1]) + 1, corner + (one[i - 1] == other[j - 1] ? 0 : 1));
                corner = above;
            }
        }

        return row[^1];
    }
}
