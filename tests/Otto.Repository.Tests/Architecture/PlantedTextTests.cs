using Otto.Repository.Architecture;

namespace Otto.Repository.Tests.Architecture;

public sealed class PlantedTextTests
{
    [Test]
    public void A_long_line_is_found()
    {
        string text = $"class A;\n{Line(141)}\n{Line(140)}\r\n{Line(141)}";
        Measurement found = Planted.Measure("lines", ("tests/T/A.cs", text));
        Assert.That(found.Offenders, Is.EqualTo(new[] { "tests/T/A.cs:2 has 141 columns", "tests/T/A.cs:4 has 141 columns" }));

        static string Line(int columns) => "// " + new string('x', columns - 3);
    }

    [Test]
    public void A_long_line_of_XML_docs_is_found()
    {
        string documentation = "    /// <summary>" + new string('x', 104), code = "    // " + new string('x', 120);
        Assert.That(Planted.Measure("doc-lines", ("src/P/A.cs", $"{documentation}\n{code}\n{documentation[..120]}")).Number, Is.EqualTo(1));
    }

    [TestCase("/// <summary>There is nobody.</summary>")]
    [TestCase("/// <returns><see langword=\"false\"/> where it is full.</returns>")]
    [TestCase("/// <remarks>The key <paramref name=\"key\"/>\n/// goes\n/// by its name.</remarks>")]
    [TestCase("/// <remarks><b>Nobody</b> waits.</remarks>")]
    public void A_rejected_word_of_XML_docs_is_found(string documentation)
    {
        Measurement found = Planted.Measure("words", ("src/P/A.cs", $"namespace P;\n\n{documentation}\nclass A;"));
        Assert.That(found.Number, Is.EqualTo(1));
        Assert.That(found.Offenders[0], Does.Match("^src/P/A.cs:[34] \"[a-z ]+\": (no process|if)$").IgnoreCase);
    }

    [TestCase("/// <summary>Uses <see cref=\"Nobody\"/>, <c>nobody</c> and <code>nobody</code>.</summary>")]
    [TestCase("/// <summary>It is <c>false</c> where. It goes.</summary><remarks>By name.</remarks>")]
    [TestCase("/// <returns><see langword=\"false\"/> if it is full.</returns>")]
    [TestCase("/// <summary>A busynobody, nobody-like and Nobody1.</summary>")]
    [TestCase("// nobody")]
    [TestCase("/* nobody */")]
    public void Clean_XML_docs_are_clean(string documentation)
    {
        string text = documentation + "\nclass A { int nobody; string F() => \"nobody\"; }";
        Assert.That(Planted.Measure("words", ("src/P/A.cs", text)).Number, Is.Zero);
    }

    [TestCase("\"Waits until nobody is left.\"")]
    [TestCase("$\"{1} nobody\"")]
    [TestCase("\"first\\nnobody\"")]
    [TestCase("\"\"\"\n  nobody\n  \"\"\"")]
    public void A_rejected_word_of_a_help_text_or_a_message_is_found(string literal)
    {
        string code = $"class A {{ object F() => {literal}; }} // nobody";
        Assert.That(Planted.Measure("words", ("tools/t/A.cs", code)).Number, Is.EqualTo(1));
        Assert.That(Planted.Measure("message-words", ("src/P/A.cs", code)).Number, Is.EqualTo(1));
    }

    [Test]
    public void A_rejected_word_of_the_readme_is_found_outside_of_code()
    {
        const string text = "# Title\n\nThere is **nobody**; `false` where it\n"
            + "goes by `nobody`.\n\n```sh\nnobody\n```\n[a](docs/nobody.md)\n";
        Measurement found = Planted.Measure("words", ("README.md", text));
        Assert.That(found.Offenders, Is.EqualTo(new[]
        {
            "README.md:3 \"nobody\": no process", "README.md:3 \"false where\": if", "README.md:4 \"goes by\": if",
        }));
    }

    [Test]
    public void The_style_sheet_is_the_list()
    {
        StyleSheet style = StyleSheet.Parse(File.ReadAllText(Repository.PathOf("docs/style.md")));
        Assert.That(style.Phrases, Is.SupersetOf(new[] { "nobody", "whoever", "false where", "null where", "looks at", "told", "news" }));
        Assert.That(style.Find("It lies and\n goes  by").Select(found => found.Phrase), Is.EqualTo(new[] { "lies", "goes by" }));
    }

    [Test]
    public void A_table_with_another_head_is_no_list() =>
        Assert.That(StyleSheet.Parse("| name | use |\n| --- | --- |\n| `nobody` | x |\n\n`nobody`\n").Phrases, Is.Empty);
}
