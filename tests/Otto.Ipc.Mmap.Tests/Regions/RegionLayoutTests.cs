using Otto.Ipc.Mmap.Regions;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Mmap.Tests.Segments;

namespace Otto.Ipc.Mmap.Tests.Regions;

// docs/layouts.md and the code must agree, byte for byte.

internal sealed class RegionLayoutTests : RegionTest
{
    [Test]
    public void A_new_region_has_the_documented_bytes()
    {
        JsonRegion region = JsonRegion.Create(Location, new RegionOptions { CapacityBytes = 64 });
        region.Set("k", "v");
        Assert.That(File.ReadAllBytes(FilePath), Is.EqualTo(DocumentedBytes.Read("golden-region", 4096)));
    }

    [Test]
    public void The_documented_bytes_are_read()
    {
        File.WriteAllBytes(FilePath, DocumentedBytes.Read("golden-region", 4096));
        Assert.That(JsonRegion.Open(Location).Get("k")!.Value.GetString(), Is.EqualTo("v"));
    }

    [TestCase(64)]
    [TestCase(65)]
    [TestCase(65536)]
    [TestCase(1 << 20)]
    public void Front_slots_and_trailer_do_not_overlap(int capacity)
    {
        RegionTrailer trailer = RegionLayout.ForCapacity(capacity);
        using var scope = Assert.EnterMultipleScope();
        Assert.That(trailer.Limit, Is.GreaterThanOrEqualTo(capacity));
        Assert.That(trailer.SlotAt(0), Is.GreaterThanOrEqualTo(RegionLayout.LengthBytes + trailer.Limit));
        Assert.That(trailer.SlotAt(1), Is.EqualTo(trailer.SlotAt(0) + RegionLayout.SlotHeaderBytes + trailer.SlotCapacity));
        Assert.That(trailer.Offset, Is.GreaterThanOrEqualTo(trailer.SlotAt(1) + RegionLayout.SlotHeaderBytes + trailer.SlotCapacity));
        Assert.That(trailer.Offset + RegionLayout.TrailerBytes, Is.LessThanOrEqualTo(RegionLayout.FileSizeFor(capacity)));
    }

    [TestCase(4096)]
    [TestCase(500)]
    [TestCase(65536)]
    [TestCase(100_001)]
    public void A_foreign_file_takes_a_trailer_that_passes_its_own_checks(long size)
    {
        RegionTrailer trailer = RegionLayout.ForForeign(size)!.Value;
        byte[] bytes = new byte[RegionLayout.TrailerBytes];
        trailer.Write(bytes);
        Assert.That(RegionTrailer.Parse(bytes, size, out string? problem), Is.EqualTo(trailer), problem);
        Assert.That(trailer.Offset % 64, Is.Zero, "a trailer must not cross a page");
    }

    [Test]
    public void The_checksum_is_castagnolis() => Assert.That(Crc32C.Of("123456789"u8), Is.EqualTo(0xE3069283));

    [Test]
    public void A_new_region_is_private_whole_and_allocated()
    {
        JsonRegion.Create(Location, new RegionOptions { CapacityBytes = 100_000 });
        using RegionFile file = RegionFile.TryOpen(FilePath, forWriting: true)!;
        using var scope = Assert.EnterMultipleScope();
        Assert.That(file.Status.Permissions, Is.EqualTo(0x180));
        Assert.That(file.Status.AllocatedBytes, Is.GreaterThanOrEqualTo(file.Size));
        Assert.That(file.Size, Is.EqualTo(RegionLayout.FileSizeFor(100_000)));
    }

    [Test]
    public void Options_outside_their_range_are_refused_with_the_number()
    {
        using var scope = Assert.EnterMultipleScope();
        Assert.That(() => JsonRegion.Create(Location, new RegionOptions { CapacityBytes = 63 }),
            Throws.ArgumentException.With.Message.Contains("63"));
        Assert.That(() => JsonRegion.Create(Location, new RegionOptions { LockTimeout = TimeSpan.FromSeconds(-5) }),
            Throws.ArgumentException);
        Assert.That(() => JsonRegion.Create(Location, new RegionOptions { SettleTime = TimeSpan.FromHours(1) }), Throws.ArgumentException);
        Assert.That(File.Exists(FilePath), Is.False);
    }
}
