using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Otto.Queue;

// What a type has and its JSON contract leaves out without a word: it would be there in process, and gone on every other route.

internal static class JsonLosses
{
    /// <summary>Finds a public field, or a property that is written and never read back.</summary>
    /// <returns>What is lost and the way out; <see langword="null"/> if nothing is found.</returns>
    internal static string? Find(JsonTypeInfo contract)
    {
        if (contract.Kind != JsonTypeInfoKind.Object || contract.PolymorphismOptions is not null) return null;
        foreach (JsonPropertyInfo property in contract.Properties)
        {
            if (property is { Get: not null, Set: null, AssociatedParameter: null }
                && property.AttributeProvider is PropertyInfo { SetMethod: not null } lost)
                return $"property {lost.Name} of {contract.Type} has a setter that is not public, so its value would be lost on the way; "
                    + "make it public or init, add [JsonInclude], or set it in the constructor";
        }

        HashSet<string> known = [.. contract.Properties.Select(static p => (p.AttributeProvider as MemberInfo)?.Name ?? "")];
        FieldInfo? field = Array.Find(Fields(contract.Type), f => !known.Contains(f.Name) && !f.IsDefined(typeof(JsonIgnoreAttribute)));
        return field is null ? null
            : $"field {field.Name} of {contract.Type} is not written as JSON, so its value would be lost on the way; make it a property, "
            + "add [JsonInclude], or set JsonSerializerOptions.IncludeFields";
    }

    [UnconditionalSuppressMessage("Trimming", "IL2070", Justification = "a field that was trimmed is not used, so nothing is lost with it")]
    private static FieldInfo[] Fields(Type type) => type.GetFields(BindingFlags.Public | BindingFlags.Instance);
}
