using System.Globalization;
using Otto.Ipc.Benchmarks.Matrix.Hosts;
using Otto.Ipc.Benchmarks.Matrix.Results;
using Otto.Ipc.Benchmarks.Matrix.Subjects;

namespace Otto.Ipc.Benchmarks.Matrix.Probes;

// What every probe has in common: who is tried, and how a finding becomes a cell.

internal abstract class Probe
{
    private const string NotFoundOut = "not found out";

    public abstract Row Row { get; }

    /// <exception cref="ProbeException">Something else failed than what is probed.</exception>
    /// <exception cref="TimeoutException">A process said nothing.</exception>
    /// <exception cref="MissingProgramException">A program is not installed without which
    /// the word would be a guess.</exception>
    public abstract Cell Try(Subject subject);

    /// <summary>The same, but that a probe which fails is a cell that fails the run.</summary>
    public Cell TryAndTell(Subject subject)
    {
        try
        {
            return Try(subject);
        }
        catch (MissingProgramException e)
        {
            return Found(subject, NotFoundOut, e.Message);
        }
        catch (Exception e) when (ProbeException.Covers(e))
        {
            return Found(subject, NotFoundOut, e.Message) with { Objection = "the probe did not come to its end" };
        }
    }

    protected Cell Found(Subject subject, string verdict, string evidence, double? number = null, string? unit = null, string? claim = null,
        string? objection = null) => new()
    {
        Row = Row,
        Subject = subject.Name,
        Verdict = verdict,
        Number = number,
        Unit = unit,
        Evidence = Workspace.Forget(evidence),
        Usual = subject.Usual?.Of(Row),
        Claim = subject.Traits is null ? null : claim,
        Objection = objection,
    };

    /// <summary>That a word is owed to the tolerance, for whoever holds the number against
    /// the rules; nothing where it is not.</summary>
    protected static string Leaned(Subject subject, string alone, string verdict) => alone == verdict
        ? "" : string.Create(CultureInfo.InvariantCulture,
            $" (that alone would be '{alone}', but within a factor of {Verdicts.Tolerance} of the border "
        + $"it confirms what is {(subject.Traits is null ? "expected" : "claimed")})");

    protected static string Text(IFormattable number, string format = "N0") => number.ToString(format, CultureInfo.InvariantCulture);

    protected static int Whole(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    /// <summary>What a side answers, or what went wrong there.</summary>
    protected static string AnswerOf(Func<string> ask, out bool worked)
    {
        try
        {
            worked = true;
            return ask();
        }
        catch (ProbeException e)
        {
            worked = false;
            return e.Message;
        }
    }
}
