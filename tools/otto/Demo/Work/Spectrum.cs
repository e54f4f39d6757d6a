using System.Numerics;

namespace Otto.Tools.Demo.Work;

// Voice's work: the file's first bytes as sound samples, and where their spectrum is loudest.

internal static class Spectrum
{
    public const int Samples = 4096;
    private const double SampleRate = 44_100;

    /// <summary>The loudest frequency of a file's bytes, in a few words.</summary>
    public static string Describe(string path)
    {
        using FileStream? file = RegularFile.TryOpen(path);
        if (file is null) return "silence";
        byte[] bytes = new byte[Samples];
        int read = file.ReadAtLeast(bytes, Samples, throwOnEndOfStream: false);
        return $"loudest at {LoudestHertz(bytes.AsSpan(0, read)):0} Hz";
    }

    /// <summary>The frequency with the most energy, the constant part aside; bytes are
    /// unsigned samples at 44.1 kHz.</summary>
    public static double LoudestHertz(ReadOnlySpan<byte> bytes)
    {
        var values = new Complex[Samples];
        for (int i = 0; i < bytes.Length; i++)
        {
            // A Hann window, so that the cut at both ends does not sound.
            double window = 0.5 - 0.5 * Math.Cos(2 * Math.PI * i / Samples);
            values[i] = (bytes[i] - 128) / 128.0 * window;
        }

        Transform(values);
        int loudest = 1;
        for (int i = 2; i < Samples / 2; i++)
        {
            if (values[i].Magnitude > values[loudest].Magnitude) loudest = i;
        }

        return loudest * SampleRate / Samples;
    }

    /// <summary>The discrete Fourier transform in place, by halves (Cooley and Tukey,
    /// 1965). The length is a power of two.</summary>
    private static void Transform(Span<Complex> values)
    {
        int bits = BitOperations.Log2((uint)values.Length);
        for (int i = 0; i < values.Length; i++)
        {
            int mirrored = (int)(Reverse((uint)i) >> (32 - bits));
            if (mirrored > i) (values[i], values[mirrored]) = (values[mirrored], values[i]);
        }

        for (int half = 1; half < values.Length; half *= 2)
        {
            Complex turn = Complex.FromPolarCoordinates(1, -Math.PI / half);
            for (int start = 0; start < values.Length; start += 2 * half)
            {
                Complex factor = Complex.One;
                for (int i = start; i < start + half; i++)
                {
                    Complex odd = values[i + half] * factor;
                    values[i + half] = values[i] - odd;
                    values[i] += odd;
                    factor *= turn;
                }
            }
        }
    }

    private static uint Reverse(uint value)
    {
        uint result = 0;
        for (int i = 0; i < 32; i++, value >>= 1) result = result << 1 | value & 1;
        return result;
    }
}
