using Otto.Repository.Architecture;

namespace Otto.Repository.Tests.Architecture;

public sealed class PlantedCircleTests
{
    private static int FileCircle(params (string Path, string Text)[] files) => Planted.Measure("file-circle", files).Number;

    [Test]
    public void A_circle_of_six_files_is_over_the_goal_and_is_shown_with_its_arrows()
    {
        Measurement found = Planted.Measure("file-circle", Planted.Ring(6));
        Assert.That(found.Number, Is.EqualTo(6));
        Assert.That(found.Offenders, Has.Some.Contains("T1.cs, T2.cs, T3.cs, T4.cs, T5.cs, T6.cs"));
        Assert.That(found.Offenders, Has.Some.Contains("T6.cs -> T1:1"));
        Assert.That(found.Offenders, Has.Some.Contains("0 files without src/P/T6.cs:1 names T1 (T1.cs)"));
        string? complaint = Ceilings.Parse("{}").Judge(Planted.Rule("file-circle"), "src/P", found);
        Assert.That(complaint, Does.Contain("6 files in the largest circle of files; at most 5 are allowed"));
    }

    [Test]
    public void A_chain_is_no_circle() =>
        Assert.That(FileCircle([.. Planted.Ring(6).Take(5), ("src/P/T6.cs", "class T6;")]), Is.Zero);

    [TestCase("class B : A;")]
    [TestCase("class B { A[] F() => null; }")]
    [TestCase("class B { object F() => A.Make(); }")]
    [TestCase("class B { object F() => new A(); }")]
    [TestCase("class B { object F() => typeof(A); }")]
    [TestCase("class B { string F() => nameof(A); }")]
    [TestCase("class B { bool F(object o) => o is A { X: 1 }; }")]
    [TestCase("class B { void F() { foreach (A a in All()) ; } }")]
    [TestCase("class B { System.Collections.Generic.List<(int, A?)> _list; }")]
    [TestCase("class B { string F() => $\"{A.Name}\"; }")]
    [TestCase("class B { void F<T>() where T : A; }")]
    [TestCase("[A] class B;")]
    [TestCase("using X = A; class B;")]
    [TestCase("using static A; class B;")]
    [TestCase("delegate A B();")]
    [TestCase("record B(A Value);")]
    [TestCase("class Own { class A; } class B { A _a; }")]
    public void Naming_a_type_is_an_arrow(string b) =>
        Assert.That(FileCircle(("src/P/A.cs", "class A { B _b; }"), ("src/P/B.cs", b)), Is.EqualTo(2));

    [TestCase("class B; // A")]
    [TestCase("/// <summary>Makes an <see cref=\"A\"/>.</summary>\nclass B;")]
    [TestCase("class B { string F() => \"A\" + @\"new A()\" + $\"A {1}\" + \"\"\"\nnew A()\n\"\"\"; }")]
    [TestCase("class B { class A; A _a; }", Description = "its own nested type of that name")]
    [TestCase("class Base { protected class A; } class B : Base { A _a; }", Description = "a nested type of its base")]
    [TestCase("class B { int A { get; } int F() => A + this.A; }", Description = "its own member of that name")]
    [TestCase("record B(int A) { int F() => A; }", Description = "its own property of that name")]
    [TestCase("class B { object F(Other o) => o.A; }", Description = "another type's member of that name")]
    [TestCase("class B { object F() => new Other { A = 1 }; }", Description = "a member in an initializer")]
    [TestCase("class B { object F() => G(A: 1); }", Description = "the name of an argument")]
    [TestCase("class B { bool F(object o) => o is Other { A: 1 }; }", Description = "a member in a pattern")]
    [TestCase("class B<A> { A _a; }", Description = "a type parameter of that name")]
    [TestCase("class B { A F<A>() => default; }", Description = "a method's type parameter of that name")]
    [TestCase("class B { A<int> _a; }", Description = "another number of type parameters")]
    [TestCase("using A = System.Int32; class B { A _a; }", Description = "an alias of that name")]
    [TestCase("class B { Elsewhere.A _a; }", Description = "a type of another namespace")]
    public void Naming_something_else_is_no_arrow(string b) =>
        Assert.That(FileCircle(("src/P/A.cs", "class A { B _b; B<int> _c; }"), ("src/P/B.cs", b)), Is.Zero);

    [Test]
    public void A_generic_type_is_known_by_its_number_of_type_parameters() =>
        Assert.That(FileCircle(("src/P/A.cs", "class A<T> { B _b; }"), ("src/P/B.cs", "class B { A<A<int>> _a; }")), Is.EqualTo(2));

    [Test]
    public void A_private_nested_type_makes_no_arrow_to_its_file()
    {
        Assert.That(FileCircle(
            ("src/P/A.cs", "class A { B _b; private class Entry; }"),
            ("src/P/B.cs", "class B { private class Entry; Entry _e; }")), Is.Zero);
    }

    [Test]
    public void A_namespace_that_is_not_imported_is_not_searched()
    {
        (string, string) a = ("src/P/X/A.cs", "namespace P.X; class A { P.Y.B _b; }");
        Assert.That(FileCircle(a, ("src/P/Y/B.cs", "namespace P.Y; class B { A _a; }")), Is.Zero);
        Assert.That(FileCircle(a, ("src/P/Y/B.cs", "using P.X; namespace P.Y; class B { A _a; }")), Is.EqualTo(2));
        Assert.That(FileCircle(a, ("src/P/Y/B.cs", "namespace P.Y; class B { X.A _a; }")), Is.EqualTo(2), "by the namespace around both");
        (string, string) usings = ("src/P/Usings.cs", "global using P.X;");
        Assert.That(FileCircle(a, ("src/P/Y/B.cs", "namespace P.Y; class B { A _a; }"), usings), Is.EqualTo(2));
    }

    [Test]
    public void Of_two_types_with_one_name_the_nearer_is_meant()
    {
        Assert.That(FileCircle(
            ("src/P/X/A.cs", "namespace P.X; class A { Y.B _b; }"),
            ("src/P/Y/A.cs", "namespace P.Y; class A;"),
            ("src/P/Y/B.cs", "using P.X; namespace P.Y; class B { A _a; }")), Is.Zero);
    }

    [Test]
    public void A_type_of_another_project_is_no_arrow()
    {
        SourceTree tree = Planted.Tree(
            ("src/P/A.cs", "class A { B _b; }"), ("src/Q/B.cs", "class B { A _a; }"),
            ("src/P/Same.cs", "class Same;"), ("src/Q/Same.cs", "class Same { B _b; }"));
        Assert.That(tree.Projects.Select(project => Planted.Rule("file-circle").Measure(project).Number), Is.All.Zero);
    }

    [Test]
    public void An_extension_method_is_an_arrow_to_its_class_unless_a_type_has_that_method()
    {
        (string, string) a = ("src/P/A.cs", "static class A { public static B Twice(this B b) => b; }");
        Assert.That(FileCircle(a, ("src/P/B.cs", "class B { B F() => this.Twice(); }")), Is.EqualTo(2));
        Assert.That(FileCircle(a, ("src/P/B.cs", "class B { B F() => G()?.Twice(); }")), Is.EqualTo(2));
        Assert.That(FileCircle(a, ("src/P/B.cs", "class B { B F() => this.Twice(); B Twice() => this; }")), Is.Zero);
        Assert.That(FileCircle(a, ("src/P/B.cs", "class B { B F() => G().Twice; }")), Is.Zero);
        (string, string) block = ("src/P/A.cs", "static class A { extension(B b) { public B Twice() => b; } }");
        Assert.That(FileCircle(block, ("src/P/B.cs", "class B { B F() => this.Twice(); }")), Is.EqualTo(2));
    }

    [Test]
    public void The_files_of_a_partial_type_are_one_in_a_circle_and_none_alone()
    {
        (string, string)[] parts = [("src/P/A.cs", "partial class A { B _b; }"), ("src/P/A.More.cs", "partial class A { A _next; }")];
        Assert.That(FileCircle([.. parts, ("src/P/B.cs", "class B;")]), Is.Zero);
        Assert.That(FileCircle([.. parts, ("src/P/B.cs", "class B { A _a; }")]), Is.EqualTo(3));
    }

    [Test]
    public void Two_folders_that_name_each_other_are_found_with_their_arrows()
    {
        (string, string)[] files =
        [
            ("src/P/X/A.cs", "class A { B _b; }"), ("src/P/Y/B.cs", "class B;"),
            ("src/P/Y/C.cs", "class C\n{\n  D _d;\n}"), ("src/P/X/D.cs", "class D;"),
        ];
        Measurement pairs = Planted.Measure("folder-pairs", files), circles = Planted.Measure("folder-circles", files);
        Assert.That((pairs.Number, circles.Number), Is.EqualTo((1, 2)), "though no two files name each other");
        Assert.That(pairs.Offenders, Does.Contain("X <-> Y (1 and 1 arrows)"));
        Assert.That(circles.Offenders, Has.Some.Contains("Y -> X: 1 arrows, as src/P/Y/C.cs:3 names D (X/D.cs)"));
    }

    [Test]
    public void A_circle_of_three_folders_has_no_pair_and_is_found()
    {
        (string, string)[] files =
        [
            ("src/P/X/A.cs", "class A { B _b; }"), ("src/P/Y/B.cs", "class B { C _c; }"), ("src/P/Z/C.cs", "class C { A _a; }"),
        ];
        Assert.That(Planted.Measure("folder-pairs", files).Number, Is.Zero);
        Assert.That(Planted.Measure("folder-circles", files).Number, Is.EqualTo(3));
    }

    [Test]
    public void The_root_of_a_project_is_a_folder_too()
    {
        Measurement pairs = Planted.Measure("folder-pairs", ("src/P/A.cs", "class A { B _b; }"), ("src/P/X/B.cs", "class B { A _a; }"));
        Assert.That(pairs.Number, Is.EqualTo(1));
    }

    [Test]
    public void Subfolders_count_for_the_folder_around_them()
    {
        (string, string)[] files =
        [
            ("src/P/X/One/A.cs", "class A { B _b; }"), ("src/P/Y/One/B.cs", "class B;"),
            ("src/P/Y/Two/C.cs", "class C { D _d; }"), ("src/P/X/Two/D.cs", "class D;"),
        ];
        Assert.That(Planted.Measure("folder-circles", files).Offenders, Has.Some.EqualTo("circle of 2 folders: X, Y"));
    }

    [Test]
    public void Folders_in_layers_are_clean()
    {
        (string, string)[] files =
        [
            ("src/P/Facade.cs", "class Facade { A _a; C _c; }"), ("src/P/X/A.cs", "class A { B _b; C _c; }"),
            ("src/P/X/B.cs", "class B;"), ("src/P/Y/C.cs", "class C { string _s = \"Facade and A\"; } // A"),
        ];
        Assert.That(Planted.Measure("folder-pairs", files).Number, Is.Zero);
        Assert.That(Planted.Measure("folder-circles", files).Number, Is.Zero);
        Assert.That(FileCircle(files), Is.Zero);
    }
}
