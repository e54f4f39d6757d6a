using System.Globalization;
using System.Reflection;

namespace Otto.Ipc.Benchmarks.Matrix.Subjects;

// A trait changed on purpose: what a wrong statement would do to a run, without changing a transport.

internal static class AlteredTraits
{
    /// <summary>Changes one trait of one subject for this run.</summary>
    /// <param name="change">Such as <c>mmap.Persistent=Disk</c>.</param>
    /// <exception cref="ArgumentException">There is no such subject, trait or value; the
    /// message lists those that there are.</exception>
    public static void Apply(string change)
    {
        string[] parts = change.Split('.', '=');
        if (parts.Length != 3) throw new ArgumentException($"'{change}' is not of the form NAME.TRAIT=VALUE");
        Subject subject = AllSubjects.Find(parts[0]);
        TransportTraits traits = subject.Traits ?? throw new ArgumentException($"'{parts[0]}' has no traits");
        subject.Altered = With(traits, parts[1], parts[2]);
    }

    /// <summary>The traits with one of them changed.</summary>
    public static TransportTraits With(TransportTraits traits, string trait, string value)
    {
        PropertyInfo property = typeof(TransportTraits).GetProperty(trait)
            ?? throw new ArgumentException($"there is no trait '{trait}'; there are "
            + $"{string.Join(", ", typeof(TransportTraits).GetProperties().Select(static p => p.Name))}");
        TransportTraits changed = traits with { };
        Type type = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
        property.SetValue(changed,
            type.IsEnum ? Enum.Parse(type, value) : value == "null" ? null : Convert.ChangeType(value, type, CultureInfo.InvariantCulture));
        return changed;
    }
}
