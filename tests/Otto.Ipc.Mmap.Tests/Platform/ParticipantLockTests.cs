using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Platform.Linux;
using Otto.Ipc.Platform.Portable;

namespace Otto.Ipc.Mmap.Tests.Platform;

// The locks that prove who lives: the Linux part and the portable one keep the same promises.

[TestFixture(true)]
[TestFixture(false)]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class ParticipantLockTests(bool portable)
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"otto-test-locks-{Guid.NewGuid():N}");
    private readonly List<IDisposable> _open = [];

    [SetUp]
    public void Create() => File.WriteAllText(_path, "");

    [TearDown]
    public void Remove()
    {
        _open.ForEach(static holder => holder.Dispose());
        foreach (string path in Directory.GetFiles(Path.GetTempPath(), Path.GetFileName(_path) + "*")) File.Delete(path);
    }

    [Test]
    public void A_lock_held_exclusively_is_refused_to_others_in_any_way()
    {
        Holder one = Open(), other = Open();
        Assert.That(one.TryWrite(5), Is.True);
        Assert.That(other.TryWrite(5), Is.False);
        Assert.That(other.TryRead(5), Is.False);
        Assert.That(other.TryWrite(6), Is.True);
    }

    [Test]
    public void A_shared_lock_is_anybodys_to_share_and_nobodys_alone()
    {
        Holder one = Open(), other = Open();
        Assert.That(one.TryRead(5), Is.True);
        Assert.That(other.TryRead(5), Is.True);
        Assert.That(Open().TryWrite(5), Is.False);
    }

    [Test]
    public void A_released_lock_is_free()
    {
        Holder one = Open(), other = Open();
        one.TryWrite(5);
        one.Release(5);
        Assert.That(other.IsFree(5), Is.True);
        Assert.That(other.TryWrite(5), Is.True);
    }

    [Test]
    public void A_disposed_holder_has_nothing()
    {
        Holder one = Open(), other = Open();
        one.TryWrite(5);
        one.TryRead(6);
        one.Dispose();
        Assert.That(other.TryWrite(5), Is.True);
        Assert.That(other.TryWrite(6), Is.True);
    }

    [Test]
    public void A_probe_tells_a_shared_lock_from_an_exclusive_one_and_takes_neither()
    {
        Holder one = Open(), probe = Open();
        Assert.That(probe.IsFree(5), Is.True);
        one.TryRead(5);
        Assert.That((probe.IsFree(5), probe.IsHeldForWriting(5)), Is.EqualTo((false, false)));
        one.Release(5);
        one.TryWrite(5);
        Assert.That((probe.IsFree(5), probe.IsHeldForWriting(5)), Is.EqualTo((false, true)));
        one.Release(5);
        Assert.That((probe.IsFree(5), probe.IsHeldForWriting(5)), Is.EqualTo((true, false)));
        Assert.That(one.TryWrite(5), Is.True);
    }

    [Test]
    public void A_holders_own_exclusive_lock_is_nobody_elses()
    {
        Holder one = Open();
        one.TryWrite(5);
        Assert.That((one.IsFree(5), one.IsHeldForWriting(5)), Is.EqualTo((true, false)));
    }

    [Test]
    public void A_shared_lock_becomes_exclusive_once_no_other_shares_it()
    {
        Holder one = Open(), other = Open();
        one.TryRead(5);
        other.TryRead(5);
        Assert.That(one.TryWrite(5), Is.False);
        Assert.That(Open().TryWrite(5), Is.False);
        other.Release(5);
        Assert.That(one.TryWrite(5), Is.True);
        Assert.That(other.TryRead(5), Is.False);
    }

    private Holder Open()
    {
        var holder = new Holder(_path, portable);
        _open.Add(holder);
        return holder;
    }

    private sealed class Holder : IDisposable
    {
        private readonly LockFiles? _files;
        private readonly SafeFileHandle? _file;

        public Holder(string path, bool portable)
        {
            if (portable)
            {
                _files = new LockFiles(path);
                return;
            }

            using SafeFileHandle file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
            _file = RangeLocks.Reopen(file, writable: true);
        }

        public bool TryWrite(long number) => _files?.TryWrite(number) ?? RangeLocks.TryWrite(_file!, number);

        public bool TryRead(long number) => _files?.TryRead(number) ?? RangeLocks.TryRead(_file!, number);

        public void Release(long number)
        {
            _files?.Release(number);
            if (_file is not null) RangeLocks.Release(_file, number);
        }

        public bool IsFree(long number) => _files?.IsFree(number) ?? RangeLocks.IsFree(_file!, number);

        public bool IsHeldForWriting(long number) => _files?.IsHeldForWriting(number) ?? RangeLocks.IsHeldForWriting(_file!, number);

        public void Dispose()
        {
            _files?.Dispose();
            if (_file is { IsClosed: false }) RangeLocks.ReleaseAll(_file);
            _file?.Dispose();
        }
    }
}
