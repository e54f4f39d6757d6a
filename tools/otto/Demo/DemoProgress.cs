using Spectre.Console;

namespace Otto.Tools.Demo;

// How far it is: bars on a terminal, a line a second elsewhere. On stderr both, so that stdout holds the table alone.

internal static class DemoProgress
{
    private static readonly TimeSpan BarPeriod = TimeSpan.FromMilliseconds(100), LinePeriod = TimeSpan.FromSeconds(1);

    /// <summary>Shows progress until <paramref name="work"/> ends.</summary>
    public static Task ShowAsync(string title, ResultTally ledger, Task work)
    {
        bool plain = Console.IsErrorRedirected || Environment.GetEnvironmentVariable("TERM") is null or "" or "dumb";
        return plain ? LinesAsync(title, ledger, work) : BarsAsync(title, ledger, work);
    }

    private static async Task LinesAsync(string title, ResultTally ledger, Task work)
    {
        Console.Error.WriteLine($"{title} …");
        while (await Task.WhenAny(work, Task.Delay(LinePeriod)) != work) Console.Error.WriteLine(Line(ledger));
        Console.Error.WriteLine(Line(ledger));
        await work;
    }

    private static async Task BarsAsync(string title, ResultTally ledger, Task work)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        console.WriteLine(title);
        await console.Progress().AutoClear(true).Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(),
            new ElapsedTimeColumn()).StartAsync(async bars =>
        {
            ProgressTask vision = bars.AddTask("vision"), voice = bars.AddTask("voice");
            while (true)
            {
                bool done = await Task.WhenAny(work, Task.Delay(BarPeriod)) == work;
                vision.MaxValue = voice.MaxValue = Math.Max(ledger.Files, 1);
                vision.Value = ledger.VisionDone;
                voice.Value = ledger.VoiceDone;
                if (done) return;
            }
        });
        await work;
    }

    private static string Line(ResultTally ledger) => ledger.Files < 0
        ? $"  indexing; vision {ledger.VisionDone:N0}, voice {ledger.VoiceDone:N0}"
        : $"  {ledger.Files:N0} files; vision {ledger.VisionDone:N0}, voice {ledger.VoiceDone:N0}";
}
