using System.Text.Json;

namespace Otto.Ipc.Benchmarks.Micro;

// What operations may allocate. Times inform; allocations gate.

internal static class Allocations
{
    private const int WarmUp = 20_000, Times = 20_000;

    /// <summary>Timers and other threads of the process allocate too, now and then: the
    /// least of several tries is the operation's own.</summary>
    private const int Tries = 5, MostTries = 50;

    /// <summary>What each operation may allocate, in bytes.</summary>
    public static IReadOnlyDictionary<string, double> Expected { get;
        } = Read(Path.Combine(AppContext.BaseDirectory, "expected-allocations.json"));

    public static IReadOnlyDictionary<string, double> Read(string path) =>
        JsonSerializer.Deserialize<Dictionary<string, double>>(File.ReadAllText(path)) ?? [];

    /// <summary>Bytes that an operation allocates, on all threads together: the least of several tries.</summary>
    /// <param name="operation">The operation.</param>
    /// <param name="expected">Where more than that was seen it is tried again, up to a
    /// limit: a machine in a hurry interrupts each try.</param>
    public static double Of(Operation operation, double expected = double.MaxValue)
    {
        operation.Run(WarmUp);
        double least = double.MaxValue;
        for (int i = 0; i < Tries || (least - expected >= 1 && i < MostTries); i++)
        {
            long before = GC.GetTotalAllocatedBytes(precise: true);
            operation.Run(Times);
            least = Math.Min(least, (GC.GetTotalAllocatedBytes(precise: true) - before) / (double)Times);
        }

        return Math.Round(least, 1);
    }

    /// <summary>What is wrong with a measurement; <see langword="null"/> where nothing is.</summary>
    public static string? Objection(IReadOnlyDictionary<string, double> expected, string operation, double bytes) =>
        !expected.TryGetValue(operation, out double allowed)
        ? $"'{operation}' stands not in expected-allocations.json; it allocates {bytes:0.#} B"
        : bytes - allowed >= 1 ? $"'{operation}' allocates {bytes:0.#} B, expected are {allowed:0.#} B"
        : allowed - bytes >= 1 ? $"'{operation}' allocates {bytes:0.#} B, fewer than the {allowed:0.#} B that are expected: lower them "
        + $"in expected-allocations.json"
        : null;
}
