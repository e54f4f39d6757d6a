using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Paths;

// What a stream or queue is made of stands in a file beside it, written once by whoever makes it. Who opens it later takes the numbers from
// there, and is refused where it states others.

/// <summary>One number of a channel.</summary>
/// <param name="Name">Its name in the file.</param>
/// <param name="Stated">What the opener wants; null for whatever is there.</param>
/// <param name="Default">What a new channel gets where nothing was stated.</param>
/// <param name="Least">The smallest that makes sense.</param>
/// <param name="Most">The largest that makes sense.</param>
internal readonly record struct Setting(string Name, int? Stated, int Default, int Least, int Most);

internal static class ChannelSettings
{
    private const int MostBytes = 4096;

    /// <summary>Takes the numbers from a channel's file, or makes the file.</summary>
    /// <returns>The numbers, in the order of <paramref name="settings"/>.</returns>
    /// <exception cref="ArgumentException">A stated number differs from the channel's.</exception>
    /// <exception cref="CorruptSegmentException">The file does not hold these numbers.</exception>
    public static int[] OpenOrCreate(string path, params Setting[] settings)
    {
        if (TryRead(path, settings) is { } there) return there;
        int[] numbers = [.. settings.Select(setting => setting.Stated ?? setting.Default)];
        return TryCreate(path, settings, numbers) ? numbers
            : TryRead(path, settings) ?? throw new IOException($"{path} was removed while it was being read");
    }

    private static int[]? TryRead(string path, Setting[] settings)
    {
        using SafeFileHandle? file = PrivateFile.TryOpen(path, FileAccess.Read);
        if (file is null) return null;
        int[] numbers = new int[settings.Length];
        try
        {
            using var document = JsonDocument.Parse(PrivateFile.ReadAll(file, path, MostBytes));
            for (int i = 0; i < settings.Length; i++)
            {
                (string name, _, _, int least, int most) = settings[i];
                numbers[i] = document.RootElement.GetProperty(name).GetInt32();
                if (numbers[i] < least || numbers[i] > most)
                    throw new CorruptSegmentException($"{path}: {name} is {numbers[i]:N0}, it must be {least:N0} to {most:N0}");
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            string wanted = string.Join(", ", settings.Select(setting => setting.Name));
            throw new CorruptSegmentException($"{path} does not hold {wanted}: {e.Message} Repair it, or remove its channel", e);
        }

        for (int i = 0; i < settings.Length; i++)
        {
            if (settings[i].Stated is { } stated && stated != numbers[i])
                throw new ArgumentException(
                    $"{settings[i].Name} of {stated:N0} was stated, {path} was made with {numbers[i]:N0}; state that, or leave it out");
        }

        return numbers;
    }

    /// <summary>Makes the file whole under another name, then links it: who finds it finds
    /// all of it, and of two makers one wins.</summary>
    private static bool TryCreate(string path, Setting[] settings, int[] numbers)
    {
        var text = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(text))
        {
            writer.WriteStartObject();
            for (int i = 0; i < settings.Length; i++) writer.WriteNumber(settings[i].Name, numbers[i]);
            writer.WriteEndObject();
        }

        text.Write("\n"u8);
        string mine = string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessId}.{RandomNumber.Hex(8)}");
        string temporary = $"{Path.GetDirectoryName(path)}/.{Path.GetFileName(path)}.{mine}";
        using SafeFileHandle file = PrivateFile.WriteNew(temporary, text.WrittenSpan, FlushLevel.None);
        try
        {
            FileFailure failure = PrivateFiles.TryLink(temporary, path);
            return !failure.Failed || (failure.Kind == FileFailureKind.Exists ? false : throw PrivateFile.Refused("link", path, failure));
        }
        finally
        {
            PrivateFile.Remove(temporary);
        }
    }
}
