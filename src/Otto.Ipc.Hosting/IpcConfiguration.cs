using Microsoft.Extensions.Configuration;

namespace Otto.Ipc.Hosting;

// Read by hand: it needs no reflection, and a misspelt key is an error that lists the known ones, where a binder would pass over it.

internal static class IpcConfiguration
{
    /// <summary>Applies a section over what the program said.</summary>
    /// <exception cref="ArgumentException">A key is unknown, or a value is none; the message has the key's whole path.</exception>
    public static void Apply(OttoIpcOptions options, IConfiguration section)
    {
        Each(section, ("Transport", s => options.Transport = Text(s)), ("Mmap", s => Each(s, ("Directory", d => options.Mmap = options.Mmap with { Directory = Text(d) }))));
    }

    private static void Each(IConfiguration section, params ReadOnlySpan<(string Key, Action<IConfigurationSection> Apply)> known)
    {
        foreach (IConfigurationSection child in section.GetChildren())
        {
            bool found = false;
            foreach ((string key, Action<IConfigurationSection> apply) in known)
            {
                if (!string.Equals(key, child.Key, StringComparison.OrdinalIgnoreCase)) continue;
                apply(child);
                found = true;
            }

            if (found) continue;
            var names = new List<string>();
            foreach ((string key, _) in known) names.Add(key);
            throw new ArgumentException($"{child.Path} is not an option; known here: {string.Join(", ", names)}");
        }
    }

    private static string Text(IConfigurationSection section) => section.Value is { Length: > 0 } value ? value : throw new ArgumentException($"{section.Path} is empty; leave it out for the default");
}
