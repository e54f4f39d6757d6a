using System.Text.Json;

namespace Otto.Ipc.Benchmarks.Micro;

// What operations may allocate. Times inform; allocations gate.

internal static class Allocations
{
    private const int WarmUp = 20_000, Times = 20_000;

    /// <summary>Whatever else the process does in the meantime must not make a byte of an operation's.</summary>
    private const int Tries = 5;

    /// <summary>What each operation may allocate, in bytes.</summary>
    public static IReadOnlyDictionary<string, double> Expected { get; } = Read(Path.Combine(AppContext.BaseDirectory, "expected-allocations.json"));

    public static IReadOnlyDictionary<string, double> Read(string path) => JsonSerializer.Deserialize<Dictionary<string, double>>(File.ReadAllText(path)) ?? [];

    /// <summary>Bytes that an operation allocates, on all threads together: the least of several tries.</summary>
    public static double Of(Operation operation)
    {
        operation.Run(WarmUp);
        double least = double.MaxValue;
        for (int i = 0; i < Tries; i++)
        {
            long before = GC.GetTotalAllocatedBytes(precise: true);
            operation.Run(Times);
            least = Math.Min(least, (GC.GetTotalAllocatedBytes(precise: true) - before) / (double)Times);
        }

        return Math.Round(least, 1);
    }

    /// <summary>What is wrong with a measurement; <see langword="null"/> where nothing is.</summary>
    public static string? Objection(IReadOnlyDictionary<string, double> expected, string operation, double bytes) =>
        !expected.TryGetValue(operation, out double allowed) ? $"'{operation}' stands not in expected-allocations.json; it allocates {bytes:0.#} B"
        : bytes - allowed >= 1 ? $"'{operation}' allocates {bytes:0.#} B, expected are {allowed:0.#} B"
        : allowed - bytes >= 1 ? $"'{operation}' allocates {bytes:0.#} B, fewer than the {allowed:0.#} B that are expected: lower them in expected-allocations.json"
        : null;
}
