using System.CommandLine;

namespace Otto.Tools.Streams;

// Standard input as lines of bytes, or as what a zero byte ends, as find -print0 writes it: no encoding is assumed, and a line that is too
// long is an error, not all of memory.

internal sealed class LineInput(bool nullSeparated = false)
{
    private readonly byte _separator = nullSeparated ? (byte)0 : (byte)'\n';

    public const int LongestMessage = 1 << 30;

    private readonly Stream _input = Console.OpenStandardInput();
    private byte[] _buffer = new byte[1 << 16];
    private int _start, _end;

    /// <summary>The option that asks for zero bytes in place of line ends.</summary>
    public static Option<bool> NullOption(string description) => new("--null", "-0") { Description = description };

    /// <summary>The next line, without its end; the last one need not have one.</summary>
    /// <returns><see langword="false"/> where there is no more.</returns>
    public bool TryReadLine(out ReadOnlyMemory<byte> line)
    {
        for (int searched = 0; ;)
        {
            int found = _buffer.AsSpan(_start + searched, _end - _start - searched).IndexOf(_separator);
            if (found >= 0)
            {
                line = _buffer.AsMemory(_start, searched + found);
                _start += searched + found + 1;
                return true;
            }

            searched = _end - _start;
            if (Fill()) continue;
            line = _buffer.AsMemory(_start, _end - _start);
            _start = _end;
            return line.Length > 0;
        }
    }

    /// <summary>Whether the next line is here already.</summary>
    public bool HasLine => _buffer.AsSpan(_start, _end - _start).Contains(_separator);

    /// <summary>Everything up to the end.</summary>
    public ReadOnlyMemory<byte> ReadAll()
    {
        while (Fill())
        {
        }

        return _buffer.AsMemory(_start, _end - _start);
    }

    private bool Fill()
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }

        if (_end == _buffer.Length)
        {
            if (_end >= LongestMessage) throw new MessageTooLargeException(
                $"a message of more than {LongestMessage:N0} bytes cannot be sent; split it, or send the name of a file");
            Array.Resize(ref _buffer, Math.Min(_buffer.Length * 2, LongestMessage));
        }

        int read = _input.Read(_buffer.AsSpan(_end));
        _end += read;
        return read > 0;
    }
}
