namespace Otto.Ipc.Platform;

/// <summary>What the system knows of a file.</summary>
/// <param name="Uid">The owner.</param>
/// <param name="Mode">Type and permission bits.</param>
/// <param name="Links">How many names it has.</param>
/// <param name="Size">Its length in bytes.</param>
/// <param name="AllocatedBytes">How many of them have storage behind them.</param>
/// <param name="Inode">Which file it is.</param>
/// <param name="Device">On which file system.</param>
internal readonly record struct FileStatus(uint Uid, ushort Mode, uint Links, long Size, long AllocatedBytes, ulong Inode, ulong Device)
{
    private const int TypeMask = 0xF000;

    /// <summary>
    /// When anything about it last changed, its name included: nanoseconds since 1970, as coarse as the system keeps
    /// them.
    /// </summary>
    public long Changed { get; init; }

    /// <summary>When its bytes last changed: nanoseconds since 1970.</summary>
    public long Modified { get; init; }

    /// <summary>The user that it belongs to.</summary>
    public uint Owner => Uid;

    public bool IsRegularFile => (Mode & TypeMask) == 0x8000;

    public bool IsDirectory => (Mode & TypeMask) == 0x4000;

    public bool IsSocket => (Mode & TypeMask) == 0xC000;

    public bool IsFifo => (Mode & TypeMask) == 0x1000;

    public bool IsLink => (Mode & TypeMask) == 0xA000;

    /// <summary>Whether no name leads to it any more.</summary>
    public bool HasNoName => Links == 0;

    /// <summary>The permission bits alone.</summary>
    public int Permissions => Mode & 0xFFF;

    /// <summary>Whether users other than the owner may write to it.</summary>
    public bool OthersMayWrite => (Mode & 0x12) != 0;

    /// <summary>Whether users other than the owner have any right to it.</summary>
    public bool OthersMayUse => (Mode & 0x3F) != 0;

    /// <summary>Whether two looks met the same file.</summary>
    public bool IsSameFile(in FileStatus other) => Inode == other.Inode && Device == other.Device;
}
