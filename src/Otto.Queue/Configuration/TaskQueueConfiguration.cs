using System.Globalization;
using Microsoft.Extensions.Configuration;

namespace Otto.Queue;

// Options from configuration, read by hand: it needs no reflection, and a misspelt key is an error that lists the known ones, where a
// binder would pass over it.

internal static class TaskQueueConfiguration
{
    /// <summary>Applies a section over what the program said: configuration has the last word.</summary>
    internal static void Apply(TaskQueueOptions options, IConfiguration section)
    {
        Keys keys = new(section);
        keys.On("DrainTimeout", s => options.DrainTimeout = Time(s));
        keys.On("RoundTripEveryTask", s => options.RoundTripEveryTask = Flag(s));
        keys.On("Routes", s => ApplyRoutes(options, s));
        keys.On("InProcess", s => Apply(options.InProcess, s));
        keys.On("SharedMemory", s => Apply(options.SharedMemory, s));
        keys.On("Tasks", s => ApplyTasks(options, s));
        foreach (ITaskRoute route in options.AddedRoutes) keys.On(route.Name.ToString(), route.Configure);
        keys.Run();
    }

    private static void Apply(InProcessOptions options, IConfigurationSection section)
    {
        Keys keys = new(section);
        keys.On("Enabled", s => options.Enabled = Flag(s));
        keys.On("Capacity", s => options.Capacity = Number(s));
        keys.On("FullMode", s => options.FullMode = Choice<QueueFullMode>(s));
        keys.On("Weight", s => options.Weight = Number(s));
        keys.Run();
    }

    private static void Apply(SharedMemoryOptions options, IConfigurationSection section)
    {
        Keys keys = new(section);
        keys.On("Enabled", s => options.Enabled = Flag(s));
        keys.On("Directory", s => options.Directory = s.Value);
        keys.On("Slots", s => options.Slots = Number(s));
        keys.On("SlotBytes", s => options.SlotBytes = Number(s));
        keys.On("MaxLoanBytes", s => options.MaxLoanBytes = Number(s));
        keys.On("MaxAttempts", s => options.MaxAttempts = Number(s));
        keys.On("FullMode", s => options.FullMode = Choice<QueueFullMode>(s));
        keys.On("Weight", s => options.Weight = Number(s));
        keys.Run();
    }

    // "Routes": ["InProcess", "SharedMemory"], or one text with commas: exactly these are on.
    private static void ApplyRoutes(TaskQueueOptions options, IConfigurationSection section)
    {
        List<string> named = [.. section.GetChildren().Select(static c => c.Value ?? "")];
        if (section.Value is { Length: > 0 } text)
            named.AddRange(text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries));
        string[] known = [nameof(RouteName.InProcess), nameof(RouteName.SharedMemory),
            .. options.AddedRoutes.Select(static r => r.Name.ToString())];
        foreach (string name in named)
            if (!known.Contains(name, StringComparer.OrdinalIgnoreCase))
                throw new ArgumentException($"unknown route '{name}' in {section.Path}; known: {string.Join(", ", known)}");
        options.InProcess.Enabled = named.Contains(nameof(RouteName.InProcess), StringComparer.OrdinalIgnoreCase);
        options.SharedMemory.Enabled = named.Contains(nameof(RouteName.SharedMemory), StringComparer.OrdinalIgnoreCase);
        options.EnableOnly(named);
    }

    private static void ApplyTasks(TaskQueueOptions options, IConfigurationSection section)
    {
        Keys tasks = new(section);
        foreach (TaskDeclaration declaration in options.Declarations) tasks.On(declaration.Name, s => Apply(declaration.Options, s));
        tasks.Run();
    }

    private static void Apply(HandlerOptions options, IConfigurationSection section)
    {
        Keys keys = new(section);
        keys.On("Queue", s => options.Queue = new Ipc.ChannelName(s.Value ?? "").Value);
        keys.On("Retries", s => options.Retries = Number(s));
        keys.On("FirstDelay", s => options.FirstDelay = Time(s));
        keys.On("MaxDelay", s => options.MaxDelay = Time(s));
        keys.On("Factor", s => options.Factor = Fraction(s));
        keys.On("Jitter", s => options.Jitter = Fraction(s));
        keys.On("Timeout", s => options.Timeout = Time(s));
        keys.On("Concurrency", s => options.Concurrency = Number(s));
        keys.On("Scope", s => options.Scope = Flag(s));
        keys.Run();
    }

    private static int Number(IConfigurationSection s)
        => int.TryParse(s.Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value) ? value
        : throw Invalid(s, "a whole number");

    private static double Fraction(IConfigurationSection s)
        => double.TryParse(s.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) ? value
        : throw Invalid(s, "a number such as 0.5");

    private static bool Flag(IConfigurationSection s) => bool.TryParse(s.Value, out bool value) ? value : throw Invalid(s, "true or false");

    private static TimeSpan Time(IConfigurationSection s)
        => TimeSpan.TryParse(s.Value, CultureInfo.InvariantCulture, out TimeSpan value) ? value
        : throw Invalid(s, "a time such as 00:00:30");

    private static T Choice<T>(IConfigurationSection s) where T : struct, Enum
        => Enum.TryParse(s.Value, ignoreCase: true, out T value) && Enum.IsDefined(value) ? value
        : throw Invalid(s, "one of " + string.Join(", ", Enum.GetNames<T>()));

    private static ArgumentException Invalid(IConfigurationSection s, string expected) => new($"{s.Path} is '{s.Value}', not {expected}");

    // The keys of one section: each known one with what it does, and an error for every other.
    private sealed class Keys(IConfiguration section)
    {
        private readonly Dictionary<string, Action<IConfigurationSection>> _known = new(StringComparer.OrdinalIgnoreCase);

        internal void On(string key, Action<IConfigurationSection> apply) => _known.Add(key, apply);

        internal void Run()
        {
            foreach (IConfigurationSection child in section.GetChildren())
            {
                if (!_known.TryGetValue(child.Key, out Action<IConfigurationSection>? apply))
                    throw new ArgumentException($"unknown key '{child.Path}'; known: {string.Join(", ", _known.Keys)}");
                apply(child);
            }
        }
    }
}
