using System.Collections.Concurrent;
using System.Globalization;

namespace Otto.Ipc.Benchmarks.Matrix.Hosts;

// The other process: deals lines of its input out to sessions, each a thread, until its input ends.

internal static class SessionHost
{
    private static readonly Lock Output = new();

    public static int Run()
    {
        var lines = new Dictionary<int, BlockingCollection<string>>();
        while (Console.In.ReadLine() is { } line)
        {
            int space = line.IndexOf(' ', StringComparison.Ordinal),
                session = int.Parse(line.AsSpan(0, space), CultureInfo.InvariantCulture);
            if (!lines.TryGetValue(session, out BlockingCollection<string>? mine))
            {
                lines[session] = mine = [];
                // In the background: an end that waits for ever must not keep a process whose input has ended.
                new Thread(() => RunSession(session, mine)) { IsBackground = true, Name = $"session {session}" }.Start();
            }

            mine.Add(line[(space + 1)..]);
        }

        // Ends in use are left to the end of the process, as in a program that is told to stop.
        Environment.Exit(0);
        return 0;
    }

    private static void RunSession(int number, BlockingCollection<string> lines)
    {
        using var session = new Session();
        foreach (string line in lines.GetConsumingEnumerable())
        {
            string answer;
            try
            {
                string text = session.Do(line.Split(' '));
                answer = text.Length == 0 ? "ok" : "ok " + text;
            }
            catch (Exception e)
            {
                Exception cause = ProbeException.CauseOf(e);
                answer = $"error {(cause is ProbeException ? "" : cause.GetType().Name + ": ")}{cause.Message.ReplaceLineEndings(" ")}";
            }

            lock (Output)
            {
                Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{number} {answer}"));
                Console.Out.Flush();
            }
        }
    }
}
