namespace Otto.Ipc;

// What a late subscriber gets.

/// <summary>Where a new subscriber begins.</summary>
public enum StartPosition
{
    /// <summary>With what is published from now on.</summary>
    Now,

    /// <summary>With the oldest message that is still there.</summary>
    Oldest,
}
