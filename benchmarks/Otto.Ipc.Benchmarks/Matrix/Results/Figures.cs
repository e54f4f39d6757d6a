using System.Globalization;

namespace Otto.Ipc.Benchmarks.Matrix.Results;

// Numbers as people read them: three digits that matter, and units that fit.

internal static class Figures
{
    public static string Microseconds(double? value) => value switch
    {
        null => "—",
        < 10 => value.Value.ToString("0.00", CultureInfo.InvariantCulture),
        < 100 => value.Value.ToString("0.0", CultureInfo.InvariantCulture),
        _ => value.Value.ToString("N0", CultureInfo.InvariantCulture),
    };

    public static string Rate(double value) => value switch
    {
        >= 10e6 => (value / 1e6).ToString("0.0 M", CultureInfo.InvariantCulture),
        >= 1e6 => (value / 1e6).ToString("0.00 M", CultureInfo.InvariantCulture),
        >= 10e3 => (value / 1e3).ToString("0 k", CultureInfo.InvariantCulture),
        >= 1e3 => (value / 1e3).ToString("0.0 k", CultureInfo.InvariantCulture),
        _ => value.ToString("0", CultureInfo.InvariantCulture),
    };

    public static string Bytes(long value) => value switch
    {
        >= 1L << 30 when value % (1 << 30) == 0 => $"{value >> 30} GiB",
        >= 1L << 20 when value % (1 << 20) == 0 => $"{value >> 20} MiB",
        >= 1L << 10 when value % (1 << 10) == 0 => $"{value >> 10} KiB",
        _ => value.ToString("N0", CultureInfo.InvariantCulture) + " B",
    };
}
