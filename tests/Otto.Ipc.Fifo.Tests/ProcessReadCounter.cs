using System.Globalization;

namespace Otto.Ipc.Fifo.Tests;

// Whether another process sleeps while it has nothing to do: by what it asks the kernel for, and not by its share of a processor, which on
// a busy machine is small for everybody.

internal sealed class ProcessReadCounter(int process)
{
    private const int WindowMilliseconds = 1000; // ms

    /// <summary>How many times the process read anything, over a while.</summary>
    public long CountReads()
    {
        long before = ReadCalls();
        Thread.Sleep(WindowMilliseconds); // not to let something happen: a time in which nothing may
        return ReadCalls() - before;
    }

    private long ReadCalls()
    {
        string path = string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/io");
        return long.Parse(File.ReadLines(path).First(line => line.StartsWith("syscr: ", StringComparison.Ordinal))["syscr: ".Length..],
            CultureInfo.InvariantCulture);
    }
}
