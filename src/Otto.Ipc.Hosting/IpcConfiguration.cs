using Microsoft.Extensions.Configuration;
using Otto.Ipc.Files;

namespace Otto.Ipc.Hosting;

// Read by hand: it needs no reflection, and a misspelt key is an error that lists the known ones, where a binder would pass over it.

internal static class IpcConfiguration
{
    /// <summary>Applies a section over what the program said.</summary>
    /// <exception cref="ArgumentException">
    /// A key is unknown, or a value is none; the message has the key's whole path.
    /// </exception>
    public static void Apply(OttoIpcOptions options, IConfiguration section)
    {
        Each(
            section,
            ("Transport", s => options.Transport = Text(s)),
            ("Mmap", s => Each(s, ("Directory", d => options.Mmap = options.Mmap with { Directory = Text(d) }))),
            ("Uds", s => Each(s, ("SocketPath", p => options.Uds = options.Uds with { SocketPath = Text(p) }))),
            ("Fifo", s => Each(s, ("Directory", d => options.Fifo = options.Fifo with { Directory = Text(d) }))),
            ("Files", s => Each(
                s,
                ("Directory", d => options.Files = options.Files with { Directory = Text(d) }),
                ("Flush", f => options.Files = options.Files with { Flush = Choice<FlushLevel>(f) }),
                ("Watching", w => options.Files = options.Files with { Watching = Choice<WatchMode>(w) }))));
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

    private static T Choice<T>(IConfigurationSection section)
        where T : struct, Enum =>
        Enum.TryParse(Text(section), ignoreCase: true, out T value) && Enum.IsDefined(value) ? value
        : throw new ArgumentException($"{section.Path} is '{section.Value}', which is none of {string.Join(", ", Enum.GetNames<T>())}");

    private static string Text(IConfigurationSection section) =>
        section.Value is { Length: > 0 } value ? value
        : throw new ArgumentException($"{section.Path} is empty; leave it out for the default");
}
