using System.Text;
using Otto.Ipc.Conformance;
using Otto.Ipc.Files.Messages;
using Otto.Ipc.Files.Paths;

namespace Otto.Ipc.Files.Tests.Paths;

// Where a run's files lie, what the transport says of itself, and how a message stands in a line.

[NonParallelizable]
public sealed class FilesTransportTests
{
    private static readonly string[] Variables = ["OTTO_TASKS_DIR", "OTTO_HOME"];

    [TearDown]
    public void Forget()
    {
        foreach (string variable in Variables) Environment.SetEnvironmentVariable(variable, null);
    }

    [Test]
    public void The_runs_directory_is_the_option_else_a_variable_else_beside_the_program()
    {
        Assert.That(RootDirectory.PathOf(null), Is.EqualTo(Path.GetFullPath(".otto")));
        Environment.SetEnvironmentVariable("OTTO_HOME", "/home-of-otto");
        Assert.That(RootDirectory.PathOf(null), Is.EqualTo("/home-of-otto"));
        Environment.SetEnvironmentVariable("OTTO_TASKS_DIR", "/a/../run");
        Assert.That(new FilesTransport().Directory, Is.EqualTo("/run"));
        Assert.That(new FilesTransport(new FilesTransportOptions { Directory = "here" }).Directory, Is.EqualTo(Path.GetFullPath("here")));
    }

    [Test]
    public async Task A_transport_has_its_name_and_opens_nothing_for_a_cancelled_call()
    {
        using TestWorkspace place = new TestWorkspace();
        await using FilesTransport transport = place.Transport;
        Assert.That((transport.Name, transport.Traits.Persistent, transport.Traits.ShellFriendly),
            Is.EqualTo(("files", TransportPersistence.Disk, TransportEase.Easy)));
        var stopped = new CancellationToken(canceled: true);
        Assert.That(async () => await ((IStoreTransport)transport).OpenStoreAsync("a", stopped),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(async () => await ((IStreamTransport)transport).OpenSenderAsync("a", stopped),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(async () => await ((IStreamTransport)transport).OpenReceiverAsync("a", stopped),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(async () => await ((IQueueTransport)transport).OpenQueueAsync("a", stopped),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(Directory.Exists(place.Directory), Is.False);
    }

    [Test]
    public void Directories_are_made_for_this_user_alone()
    {
        using TestWorkspace place = new TestWorkspace();
        place.Transport.OpenSender("a").Dispose();
        foreach (string directory in Directory.GetDirectories(place.Directory, "*", SearchOption.AllDirectories).Append(place.Directory))
            Assert.That(File.GetUnixFileMode(directory),
                Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute), directory);
        foreach (string file in Directory.GetFiles(place.Directory, "*", SearchOption.AllDirectories))
            Assert.That(File.GetUnixFileMode(file), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite), file);
    }

    [Test]
    public void Every_message_round_trips_and_JSON_on_one_line_is_stored_as_it_is()
    {
        string[] plain = ["1", "\"x\"", "{\"a\":[1, 2],\"b\":\"\\n\"}", "null", "{\"base64\":\"AAAA\"}", "\"größe\""];
        string[] wrapped = ["", " 1", "1\n", "{\n}", "not json", "{\"$base64\":\"AAAA\"}", "{\"$base64\":5}",
            "{\"a\":{\"$base64\":\"AA==\"}}", "\"a\rb\"", "{\"half\":"];
        foreach (string text in plain)
            Assert.That((Encode(Encoding.UTF8.GetBytes(text)), Back(Encoding.UTF8.GetBytes(text))), Is.EqualTo((text, text)));
        foreach (string text in wrapped)
        {
            Assert.That(Encode(Encoding.UTF8.GetBytes(text)), Does.StartWith("{\"$base64\":\""));
            Assert.That(Back(Encoding.UTF8.GetBytes(text)), Is.EqualTo(text));
        }

        var random = new Random(3);
        for (int i = 0; i < 5_000; i++)
        {
            byte[] message = new byte[random.Next(60)];
            if (i % 2 == 0) random.NextBytes(message);
            else random.GetItems("{}[]\"$base64:,\\\n\r 10"u8, message);
            byte[] text = new byte[MessageText.MostBytes(message.Length)];
            int length = MessageText.Encode(message, text);
            Assert.That(text.AsSpan(0, length).IndexOfAny((byte)'\n', (byte)'\r'), Is.EqualTo(-1));
            Assert.That(MessageText.Decode(text.AsMemory(0, length)).ToArray(), Is.EqualTo(message));
        }
    }

    private static string Encode(byte[] message)
    {
        byte[] text = new byte[MessageText.MostBytes(message.Length)];
        return Encoding.UTF8.GetString(text, 0, MessageText.Encode(message, text));
    }

    private static string Back(byte[] message) => Encoding.UTF8.GetString(MessageText.Decode(Encoding.UTF8.GetBytes(Encode(message))).Span);
}
