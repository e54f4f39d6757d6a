using System.Text.RegularExpressions;
using Otto.Ipc.Benchmarks.BeforeAfter;
using Otto.Ipc.Benchmarks.Documents;
using Otto.Ipc.Benchmarks.Matrix;
using Otto.Ipc.Benchmarks.Matrix.Results;

namespace Otto.Ipc.Benchmarks.Tests;

// What the documents say of measurements is what the newest results say.

public sealed class MeasuredDocumentTests
{
    [Test]
    public void The_documents_say_what_was_measured_last() =>
        Assert.That(new MeasuredDocuments(Checkout.Root).Stale(), Is.Empty, "eng/bench readme writes them anew");

    [Test]
    public void A_changed_number_is_noticed()
    {
        var documents = new MeasuredDocuments(Checkout.Root);
        string page = File.ReadAllText(Path.Combine(Checkout.Root, "docs", "choosing.md"));
        int start = page.IndexOf("<!-- measured: matrix -->", StringComparison.Ordinal),
            end = page.IndexOf("<!-- /measured -->", StringComparison.Ordinal);
        int digit = page.IndexOf(" µs", start, StringComparison.Ordinal) - 1;
        Assert.That(start, Is.GreaterThan(0));
        Assert.That(digit, Is.InRange(start, end));
        string changed = page[..digit] + (page[digit] == '9' ? '8' : '9') + page[(digit + 1)..];
        Assert.That(documents.Fill(changed, "docs/choosing.md"), Is.EqualTo(page));
    }

    [Test]
    public void The_table_the_charts_and_each_row_are_where_a_reader_looks_for_them()
    {
        string choosing = File.ReadAllText(Path.Combine(Checkout.Root, "docs", "choosing.md"));
        foreach (string section in (string[])["<!-- measured: matrix -->", "<!-- measured: before-after -->", "-throughput.svg)",
            "-latency.svg)"]) Assert.That(choosing, Does.Contain(section));
        foreach (Row row in Enum.GetValues<Row>()) Assert.That(choosing, Does.Match($@"\]\(\S+ ""measured: \w+, {Verdicts.Word(row)}""\)"));
        foreach (string subject in (string[])["files", "mmap", "uds", "fifo", "channel", "redis"])
            Assert.That(choosing, Does.Contain($"\"measured: {subject}, "));
    }

    [Test]
    public void No_name_is_taken_for_a_tag()
    {
        foreach ((string path, string text) in new MeasuredDocuments(Checkout.Root).All().Where(
            static d => d.Path.EndsWith("-matrix.md", StringComparison.Ordinal)))
            Assert.That(Regex.Matches(text, @"(?<![\\`])<(?!br>)[a-zA-Z]").Select(static m => m.Value), Is.Empty, path);
    }

    [Test]
    public void A_link_to_a_cell_that_was_not_measured_is_an_error()
    {
        var documents = new MeasuredDocuments(Checkout.Root);
        Assert.That(() => documents.Fill("[x](y \"measured: pigeon, speed\")", "docs/a.md"),
            Throws.TypeOf<InvalidDataException>().With.Message.Contains("pigeon"));
        Assert.That(() => documents.Fill("[x](y \"measured: uds, taste\")", "docs/a.md"),
            Throws.TypeOf<InvalidDataException>().With.Message.Contains("size limits"));
    }

    [Test]
    public void The_newest_run_is_complete()
    {
        MatrixRun run = ResultFiles.All(Checkout.Results)[^1].Run;
        Assert.That(run.Head.Columns.Select(c => c.Name), Is.EqualTo(new[] { "files", "mmap", "uds", "fifo", "channel", "redis" }));
        foreach (Column column in run.Head.Columns)
        {
            foreach (Row row in Enum.GetValues<Row>())
                Assert.That(run.At(row, column.Name)?.Evidence, Is.Not.Null.And.Not.Empty, $"{column.Name}, {row}");
        }

        Assert.That(run.Contradictions, Is.Empty);
        Assert.That(run.Head.LeftOut, Is.Empty);
        Assert.That(run.Speeds.Select(s => s.Subject).Distinct(), Is.SupersetOf(new[] { "bare-uds", "pipes", "tcp", "redis-single" }));
        Assert.That(run.Head.Commit, Is.Not.EqualTo("unknown"));
    }

    [Test]
    public void Runs_are_read_back_as_they_were_written()
    {
        MatrixRun run = ResultFiles.All(Checkout.Results)[^1].Run;
        Assert.That(MatrixRun.Parse(run.ToLines()).ToLines(), Is.EqualTo(run.ToLines()));
        BeforeAfterReport report = BeforeAfterReport.All(Checkout.Results)[^1].Report;
        Assert.That(BeforeAfterReport.Parse([.. report.ToLines()]).ToLines(), Is.EqualTo(report.ToLines()));
        Assert.That(() => MatrixRun.Parse(["{}"]), Throws.TypeOf<InvalidDataException>());
    }

    [Test]
    public void Before_and_after_has_each_way_with_few_tasks_and_with_many()
    {
        BeforeAfterReport report = BeforeAfterReport.All(Checkout.Results)[^1].Report;
        foreach (int tasks in (int[])[1000, 100_000])
            Assert.That(report.Results.Where(r => r.Tasks == tasks).Select(r => r.Way),
                Is.SupersetOf(new[] { "redis-single", "redis-batched", "otto-mmap", "otto-inprocess" }));
        Assert.That(report.ToMarkdown(), Does.Contain("250 ms"));
    }
}
