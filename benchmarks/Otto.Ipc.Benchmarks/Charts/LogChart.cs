using System.Globalization;
using System.Xml.Linq;

namespace Otto.Ipc.Benchmarks.Charts;

// A line chart with two logarithmic axes, as SVG. It has no background and only middle tones, which stand
// out from white and from black alike:
// a picture in a page is not told which of the two it lies on.

/// <summary>One line of a chart.</summary>
/// <param name="Name">Written at the line's end.</param>
/// <param name="Points">Places and values, in order.</param>
/// <param name="Colour">Which of <see cref="LogChart.Colours"/>: what is the same in two charts has the same.</param>
/// <param name="Stroke">How it is drawn.</param>
internal sealed record Series(string Name, IReadOnlyList<(double X, double Y)> Points, int Colour, Stroke Stroke);

/// <summary>How a line is drawn.</summary>
internal enum Stroke
{
    /// <summary>A transport of ours.</summary>
    Solid,

    /// <summary>A peer.</summary>
    Dashed,

    /// <summary>A transport of ours once more, in another way.</summary>
    Dotted,
}

/// <param name="X">Where it stands.</param>
/// <param name="Label">What is written there.</param>
internal sealed record Tick(double X, string Label);

internal sealed record LogChart(string Title, string XTitle, string YTitle, IReadOnlyList<Tick> XTicks, Func<double, string> YLabel,
    IReadOnlyList<Series> Lines)
{
    public const string Ink = "#7f848c";

    /// <summary>The colours of the lines, in turns.</summary>
    public static readonly IReadOnlyList<string> Colours = ["#3b82f6", "#e0592a", "#1f9d55", "#a463f2", "#c28a00", "#0e9aa7", "#d6498f",
        "#8d6e63", "#6b8e23", "#e5484d", "#64748b"];

    private const double Width = 860, Height = 460, Left = 92, Right = 210, Top = 44, Bottom = 58, LabelStep = 15;
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    private double XLeast => Math.Log(XTicks.Min(static t => t.X));

    private double XMost => Math.Log(XTicks.Max(static t => t.X));

    private int FirstDecade => (int)Math.Floor(Math.Log10(Values.Min()));

    private int LastDecade => Math.Max(FirstDecade + 1, (int)Math.Ceiling(Math.Log10(Values.Max())));

    private IEnumerable<double> Values => Lines.SelectMany(static l => l.Points).Select(static p => p.Y);

    public string ToSvg()
    {
        var root = new XElement(
            Svg + "svg", new XAttribute("viewBox", FormattableString.Invariant($"0 0 {Width} {Height}")), new XAttribute("width", Width),
            new XAttribute("height", Height), new XAttribute("role", "img"),
            new XAttribute("font-family", "system-ui, -apple-system, 'Segoe UI', sans-serif"), new XAttribute("font-size", 12),
            new XAttribute("fill", Ink));
        root.Add(new XElement(Svg + "title", Title), Text(Left, 22, Title, "start", 15),
            Text(Left + (Width - Left - Right) / 2, Height - 14, XTitle, "middle"));
        root.Add(new XElement(Text(0, 0, YTitle, "middle")) { Name = Svg + "text" }.With("transform",
            FormattableString.Invariant($"translate(18 {Top + (Height - Top - Bottom) / 2}) rotate(-90)")));
        AddGrid(root);
        foreach (Series line in Lines) AddLine(root, line);
        AddNames(root);
        return root + "\n";
    }

    private void AddGrid(XElement root)
    {
        for (int decade = FirstDecade; decade <= LastDecade; decade++)
        {
            double y = YOf(Math.Pow(10, decade));
            root.Add(Rule(Left, y, Width - Right, y, 0.55), Text(Left - 8, y + 4, YLabel(Math.Pow(10, decade)), "end"));
            for (int part = 2; part < 10 && decade < LastDecade; part++)
            {
                double between = YOf(part * Math.Pow(10, decade));
                root.Add(Rule(Left, between, Width - Right, between, 0.18));
            }
        }

        foreach (Tick tick in XTicks)
        {
            double x = XOf(tick.X);
            root.Add(Rule(x, Top, x, Height - Bottom, 0.35), Text(x, Height - Bottom + 18, tick.Label, "middle"));
        }
    }

    private void AddLine(XElement root, Series line)
    {
        string colour = ColourOf(line);
        bool peer = line.Stroke == Stroke.Dashed;
        string path = string.Join(' ',
            line.Points.Select((p, i) => FormattableString.Invariant($"{(i == 0 ? 'M' : 'L')}{XOf(p.X):0.#} {YOf(p.Y):0.#}")));
        var drawn = new XElement(Svg + "path", new XAttribute("d", path), new XAttribute("fill", "none"), new XAttribute("stroke", colour),
            new XAttribute("stroke-width", peer ? 1.6 : 2.4));
        if (line.Stroke != Stroke.Solid) drawn.Add(new XAttribute("stroke-dasharray", peer ? "5 3" : "1.5 3"));
        root.Add(drawn);
        foreach ((double x, double y) in line.Points)
            root.Add(new XElement(Svg + "circle", new XAttribute("cx", Number(XOf(x))), new XAttribute("cy", Number(YOf(y))),
                new XAttribute("r", peer ? 2.4 : 3.2), new XAttribute("fill", colour)));
    }

    // Each name stands beside its line's end; names that would lie on each other are moved apart and joined to the end by a thin rule.
    private void AddNames(XElement root)
    {
        (int Index, double End, double At)[] names =
            [.. Lines.Select((l, i) => (Index: i, End: YOf(l.Points[^1].Y))).OrderBy(n => n.End).Select(n => (n.Index, n.End, n.End))];
        double least = Top + 4;
        for (int i = 0; i < names.Length; i++)
        {
            names[i].At = Math.Max(names[i].End, least);
            least = names[i].At + LabelStep;
        }

        double most = Height - Bottom + 2;
        for (int i = names.Length - 1; i >= 0; i--)
        {
            names[i].At = Math.Min(names[i].At, most);
            most = names[i].At - LabelStep;
        }

        foreach ((int index, double end, double at) in names)
        {
            Series line = Lines[index];
            double x = XOf(line.Points[^1].X);
            string colour = ColourOf(line);
            root.Add(new XElement(
                Svg + "path", new XAttribute("d",
                    FormattableString.Invariant($"M{x + 4:0.#} {end:0.#} L{Width - Right + 16:0.#} {at:0.#}")),
                    new XAttribute("fill", "none"), new XAttribute("stroke", colour), new XAttribute("stroke-width", 0.8)));
            root.Add(Text(Width - Right + 20, at + 4, line.Name, "start").With("fill", colour));
        }
    }

    private static string ColourOf(Series line) => Colours[line.Colour % Colours.Count];

    private double XOf(double x) => Left + (Math.Log(x) - XLeast) / (XMost - XLeast) * (Width - Left - Right);

    private double YOf(double y) => Height - Bottom - (Math.Log10(y) - FirstDecade) / (LastDecade - FirstDecade) * (Height - Top - Bottom);

    private static XElement Rule(double x1, double y1, double x2, double y2, double opacity) => new(
        Svg + "path", new XAttribute("d", FormattableString.Invariant($"M{x1:0.#} {y1:0.#} L{x2:0.#} {y2:0.#}")),
        new XAttribute("stroke", Ink), new XAttribute("stroke-opacity", opacity), new XAttribute("stroke-width", 1));

    private static XElement Text(double x, double y, string text, string anchor, int? size = null)
    {
        var element = new XElement(Svg + "text", new XAttribute("x", Number(x)), new XAttribute("y", Number(y)),
            new XAttribute("text-anchor", anchor), text);
        return size is { } s ? element.With("font-size", s) : element;
    }

    private static string Number(double value) => value.ToString("0.#", CultureInfo.InvariantCulture);
}

internal static class XElementExtensions
{
    /// <summary>The element with one more attribute.</summary>
    public static XElement With(this XElement element, string name, object value)
    {
        element.SetAttributeValue(name, value);
        return element;
    }
}
