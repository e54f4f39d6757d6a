namespace Otto.Repository.Architecture;

/// <summary>A file names a type that another file of the project declares.</summary>
public sealed record Arrow(SourceFile From, SourceFile To, string Type, int Line);

/// <summary>Who names whom inside a project.</summary>
/// <remarks>
/// The files of a partial type are one unit, because each of them uses what the others declare. A circle counts all
/// files of its units. A partial type alone is no circle.
/// </remarks>
public sealed class ReferenceGraph
{
    private readonly Dictionary<SourceFile, SourceFile> _unit;

    private ReferenceGraph(IReadOnlyList<SourceFile> files, IReadOnlyList<Arrow> arrows, Dictionary<SourceFile, SourceFile> unit)
    {
        (Files, Arrows, _unit) = (files, arrows, unit);
    }

    public IReadOnlyList<SourceFile> Files { get; }

    public IReadOnlyList<Arrow> Arrows { get; }

    public static ReferenceGraph Of(IReadOnlyList<SourceFile> files)
    {
        TypeIndex index = new(files);
        TypeReferences references = new(index, files);
        Arrow[] arrows = [.. files.AsParallel().AsOrdered().SelectMany(references.Of)];
        return new ReferenceGraph(files, arrows, Units(index, files));
    }

    /// <summary>The circles of files, the largest first.</summary>
    /// <param name="without">The arrows to leave out, to see what cutting them changes.</param>
    public IReadOnlyList<IReadOnlyList<SourceFile>> FileCircles(Func<Arrow, bool>? without = null)
    {
        ILookup<SourceFile, SourceFile> members = Files.ToLookup(file => _unit[file]);
        var edges = Arrows.Where(arrow => without?.Invoke(arrow) != true).Select(arrow => (_unit[arrow.From], _unit[arrow.To]));
        return [.. Circles.Find(members.Select(unit => unit.Key), edges)
            .Select(circle => (IReadOnlyList<SourceFile>)
                [.. circle.SelectMany(unit => members[unit]).OrderBy(file => file.Path, StringComparer.Ordinal)])
            .OrderByDescending(circle => circle.Count)];
    }

    /// <summary>What to cut: the arrows of one unit to another without which the circle is smaller.</summary>
    /// <returns>
    /// One of the arrows, the files of the largest circle that is left, and the number of arrows; the best cut first.
    /// </returns>
    public IEnumerable<(Arrow Arrow, int Files, int Arrows)> Cuts(IReadOnlyList<SourceFile> circle)
    {
        HashSet<SourceFile> inside = [.. circle];
        return ArrowsInside(circle).GroupBy(arrow => (_unit[arrow.From], _unit[arrow.To])).Select(pair =>
        {
            int left = FileCircles(arrow => (_unit[arrow.From], _unit[arrow.To]) == pair.Key)
                .Where(rest => inside.Contains(rest[0])).Select(rest => rest.Count).FirstOrDefault();
            return (pair.First(), left, pair.Count());
        }).Where(cut => cut.left < circle.Count).OrderBy(cut => cut.left).ThenBy(cut => cut.Item3);
    }

    public IEnumerable<Arrow> ArrowsInside(IReadOnlyList<SourceFile> circle)
    {
        HashSet<SourceFile> inside = [.. circle];
        return Arrows.Where(arrow => inside.Contains(arrow.From) && inside.Contains(arrow.To) && _unit[arrow.From] != _unit[arrow.To]);
    }

    private static Dictionary<SourceFile, SourceFile> Units(TypeIndex index, IReadOnlyList<SourceFile> files)
    {
        Dictionary<SourceFile, SourceFile> unit = files.ToDictionary(file => file);
        foreach (DeclaredType type in index.Types.Where(type => type.Files.Count > 1))
        {
            HashSet<SourceFile> joined = [.. type.Files.Select(file => unit[file])];
            SourceFile first = joined.MinBy(file => file.Path, StringComparer.Ordinal)!;
            foreach (SourceFile file in files.Where(file => joined.Contains(unit[file]))) unit[file] = first;
        }

        return unit;
    }
}

/// <summary>The circles of a directed graph: its strongly connected components of two or more nodes (Tarjan).</summary>
public static class Circles
{
    public static IReadOnlyList<IReadOnlyList<T>> Find<T>(IEnumerable<T> nodes, IEnumerable<(T From, T To)> edges) where T : notnull
    {
        ILookup<T, T> next = edges.Where(edge => !edge.From.Equals(edge.To)).Distinct().ToLookup(edge => edge.From, edge => edge.To);
        Dictionary<T, (int Index, int Low)> seen = [];
        HashSet<T> open = [];
        Stack<T> stack = [];
        List<IReadOnlyList<T>> circles = [];
        foreach (T node in nodes)
        {
            if (!seen.ContainsKey(node)) Visit(node);
        }

        return circles;

        int Visit(T node)
        {
            int index = seen.Count, low = index;
            seen[node] = (index, low);
            stack.Push(node);
            open.Add(node);
            foreach (T child in next[node])
            {
                if (!seen.TryGetValue(child, out (int Index, int Low) of)) low = Math.Min(low, Visit(child));
                else if (open.Contains(child)) low = Math.Min(low, of.Index);
            }

            seen[node] = (index, low);
            if (low != index) return low;
            List<T> circle = [];
            T top;
            do
            {
                top = stack.Pop();
                open.Remove(top);
                circle.Add(top);
            }
            while (!top.Equals(node));
            if (circle.Count > 1) circles.Add(circle);
            return low;
        }
    }
}
