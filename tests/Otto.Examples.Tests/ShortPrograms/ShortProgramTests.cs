using System.Text.Json.Serialization;
using Otto.Queue.Tests.Support;

namespace Otto.Examples.Tests.ShortPrograms;

// Programs of about ten lines that have to stay that short. Each test is the program, with a peer that runs beside it.
// This part holds what they share; the parts of the class are by library.

/// <summary>What a user of the libraries writes first.</summary>
[TestFixture]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed partial class ShortProgramTests
{
    private string _directory = "";

    [SetUp]
    public void MakeDirectory() => _directory = Directory.CreateDirectory(
        $"/dev/shm/otto-short-{Environment.ProcessId}-{TestContext.CurrentContext.Test.ID}",
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;

    [TearDown]
    public void RemoveDirectory() => Directory.Delete(_directory, recursive: true);

    /// <summary>Waits for a program's end under the watchdog.</summary>
    private static Task EndOfAsync(params Task[] programs) => Task.WhenAll(programs).Soon();
}

internal sealed record Order(int Number, string What);

[JsonSerializable(typeof(Order))]
internal sealed partial class AppJson : JsonSerializerContext;
