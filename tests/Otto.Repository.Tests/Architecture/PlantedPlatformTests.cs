using Otto.Repository.Architecture;

namespace Otto.Repository.Tests.Architecture;

public sealed class PlantedPlatformTests
{
    [TestCase("class A { [LibraryImport(\"x\")] static partial void F(); }")]
    [TestCase("class A { [System.Runtime.InteropServices.DllImport(\"x\")] static extern void F(); }")]
    [TestCase("class A { void F() => Libc.Close(1); }")]
    [TestCase("class A { void F(int fd) { } }")]
    [TestCase("class A { int _pollFd; }")]
    [TestCase("class A { int _descriptor; }")]
    [TestCase("class A { int EventDescriptor; }")]
    [TestCase("class A { int F() => Marshal.GetLastPInvokeError(); }")]
    [TestCase("class A { bool F(int error) => error == EAGAIN; }")]
    [TestCase("class A { int F() => O_CREAT | O_EXCL; }")]
    [TestCase("class A { int F() => X.MAP_SHARED; }")]
    [TestCase("class A { int F() => EPOLLIN; }")]
    [TestCase("class A { uint OwnerUid; }")]
    [TestCase("class A { UnixFileMode _mode; }")]
    [TestCase("class EpollLoop;")]
    [TestCase("class A { FutexWord _word; }")]
    [TestCase("class A { bool F() => OperatingSystem.IsLinux(); }")]
    [TestCase("class A { object F() => RuntimeInformation.ProcessArchitecture; }")]
    [TestCase("class A { string F(int p) => $\"/proc/{p}/stat\"; }")]
    [TestCase("class A { string F() => \"in /dev/shm, by default\"; }")]
    public void A_word_of_the_system_is_found(string code)
    {
        Measurement found = Planted.Measure("platform", ("src/P/Queues/A.cs", "// First.\n" + code));
        Assert.That(found.Number, Is.EqualTo(1));
        Assert.That(found.Offenders[0], Does.StartWith("src/P/Queues/A.cs:2 "));
    }

    [TestCase("// Libc, fd, O_CREAT, /proc\n/* errno */ class A;")]
    [TestCase("/// <summary>The file in /dev/shm, its uid and errno.</summary>\nclass A;")]
    [TestCase("class A { string F() => \"Libc fd errno O_CREAT epoll EAGAIN\"; }")]
    [TestCase("class A { Guid _guid; int _offdays; bool Fluid; }")]
    [TestCase("class A { BlockDescriptor _block; ServiceDescriptor _service; }")]
    [TestCase("class A { const int E = 1, MAX = 2, EMPTY = 3; bool F() => X.IsLinuxLike; }")]
    [TestCase("class A { object F() => PosixSignal.SIGTERM; }")]
    [TestCase("class A { string F() => \"/process/procedure a/proc /dev/shmem\"; }")]
    [TestCase("class A { void F(Socket s, Process p, FileMode mode, WaitMode wait) { } }")]
    public void What_every_system_has_is_not_found(string code) =>
        Assert.That(Planted.Measure("platform", ("src/P/A.cs", code)).Number, Is.Zero);

    [Test]
    public void A_folder_Platform_may_speak_of_its_system()
    {
        const string code = "class A { int F() => Libc.O_CREAT; }";
        Assert.That(Planted.Measure("platform", ("src/P/Platform/A.cs", code), ("src/P/Platform/Linux/B.cs", code)).Number, Is.Zero);
        Assert.That(Planted.Measure("platform", ("src/P/PlatformCalls/A.cs", code), ("src/P/Platform.cs", code)).Number, Is.EqualTo(2));
    }
}
