using System.Globalization;
using System.Xml.Linq;
using Otto.Ipc.Benchmarks.Charts;
using Otto.Ipc.Benchmarks.Matrix.Results;

namespace Otto.Ipc.Benchmarks.Tests;

// Pictures that open, show everybody, and can be read on light and on dark.

public sealed class ChartTests
{
    private const double Enough = 3; // What WCAG asks of graphics.
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    private static IEnumerable<string> Pictures => Directory.GetFiles(Checkout.Results, "*.svg").Select(static p => Path.GetFileName(p));

    [TestCaseSource(nameof(Pictures))]
    public void A_picture_is_well_formed_and_needs_nothing_from_elsewhere(string name)
    {
        XElement root = XDocument.Load(Path.Combine(Checkout.Results, name)).Root!;
        Assert.That(root.Name, Is.EqualTo(Svg + "svg"));
        Assert.That(root.Elements(Svg + "title").Single().Value, Is.Not.Empty);
        Assert.That(root.Descendants().Where(e => e.Name.LocalName is "image" or "script" or "style" or "use" or "rect"), Is.Empty,
            "a background, or something to be loaded");
        double width = Number(root, "width"), height = Number(root, "height");
        foreach (XElement point in root.Descendants(Svg + "circle"))
        {
            Assert.That(Number(point, "cx"), Is.InRange(0, width));
            Assert.That(Number(point, "cy"), Is.InRange(0, height));
        }
    }

    [Test]
    public void Every_measured_subject_is_drawn_and_named()
    {
        MatrixRun run = ResultFiles.All(Checkout.Results)[^1].Run;
        foreach (string picture in (string[])[MatrixCharts.Throughput(run), MatrixCharts.Latency(run)])
        {
            string[] texts = [.. XDocument.Parse(picture).Descendants(Svg + "text").Select(static t => t.Value)];
            foreach (string title in run.Speeds.Select(s => s.Title).Distinct()) Assert.That(texts, Has.Exactly(1).EqualTo(title));
        }
    }

    [TestCase("#ffffff")]
    [TestCase("#0d1117")]
    public void Each_colour_stands_out_from_the_page(string page)
    {
        foreach (string colour in LogChart.Colours.Append(LogChart.Ink))
            Assert.That(Contrast(colour, page), Is.GreaterThanOrEqualTo(Enough), $"{colour} on {page}");
    }

    [Test]
    public void Both_axes_are_logarithmic()
    {
        var line = new Series("line", [(1, 1), (10, 10), (100, 100)], 0, Stroke.Solid);
        string svg = new LogChart("t", "x", "y", [new Tick(1, "1"), new Tick(100, "100")],
            static v => v.ToString(CultureInfo.InvariantCulture), [line]).ToSvg();
        (double X, double Y)[] points =
            [.. XDocument.Parse(svg).Descendants(Svg + "circle").Select(static c => (Number(c, "cx"), Number(c, "cy")))];
        Assert.That(points[2].X - points[1].X, Is.EqualTo(points[1].X - points[0].X).Within(0.2));
        Assert.That(points[2].Y - points[1].Y, Is.EqualTo(points[1].Y - points[0].Y).Within(0.2));
        Assert.That(points[1].X, Is.GreaterThan(points[0].X));
        Assert.That(points[1].Y, Is.LessThan(points[0].Y));
    }

    private static double Number(XElement element, string name) =>
        double.Parse(element.Attribute(name)!.Value, CultureInfo.InvariantCulture);

    private static double Contrast(string one, string other)
    {
        double a = Luminance(one), b = Luminance(other);
        return (Math.Max(a, b) + 0.05) / (Math.Min(a, b) + 0.05);
    }

    private static double Luminance(string colour)
    {
        double Part(int at)
        {
            double value = int.Parse(colour.AsSpan(at, 2), NumberStyles.HexNumber, CultureInfo.InvariantCulture) / 255.0;
            return value <= 0.03928 ? value / 12.92 : Math.Pow((value + 0.055) / 1.055, 2.4);
        }

        return 0.2126 * Part(1) + 0.7152 * Part(3) + 0.0722 * Part(5);
    }
}
