using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Otto.Ipc.Hosting.Tests;

// One line of configuration picks the transport, and the same program runs on each.

[TestFixture]
public sealed class TransportConfigurationTests : TransportTest
{
    [Test]
    public async Task The_same_program_sends_over_each_transport_that_has_streams([Values("mmap", "fifo", "files", "uds")] string scheme)
    {
        using IHost host = HostWith(("Transport", AddressOf(scheme)));
        await host.StartAsync();
        Assert.That(host.Services.GetRequiredService<ITransport>().Name, Is.EqualTo(scheme));

        IStreamTransport streams = host.Services.GetRequiredService<IStreamTransport>();
        using MessageReceiver receiver = await streams.OpenReceiverAsync("greetings");
        using MessageSender sender = await streams.OpenSenderAsync("greetings");
        await sender.SendAsync("hello"u8.ToArray());
        Assert.That(await receiver.WaitToReceiveAsync(), Is.True);
        Assert.That(receiver.TryReceive(out ReadLease lease), Is.True);
        using (lease) Assert.That(lease.Bytes.SequenceEqual("hello"u8), Is.True);

        await host.StopAsync();
    }

    [Test]
    public async Task The_same_program_keeps_values_in_each_transport_that_has_stores([Values("mmap", "files")] string scheme)
    {
        await using ITransport transport = OttoTransport.Open(AddressOf(scheme));
        await using IKeyValueStore store = await transport.Require<IStoreTransport>().OpenStoreAsync("facts");
        await store.SetAsync("answer", "42"u8.ToArray());
        Assert.That((await store.GetAsync("answer"))!.Value.ToArray(), Is.EqualTo("42"u8.ToArray()));
    }

    [Test]
    public async Task The_environment_overrides_the_configuration()
    {
        Environment.SetEnvironmentVariable(OttoTransport.EnvironmentVariable, AddressOf("files"));
        using IHost host = HostWith(("Transport", AddressOf("mmap")));
        await host.StartAsync();
        Assert.That(host.Services.GetRequiredService<ITransport>().Name, Is.EqualTo("files"));
        await host.StopAsync();
    }

    [Test]
    public async Task Nothing_said_means_shared_memory()
    {
        using IHost host = HostWith();
        await host.StartAsync();
        Assert.That(host.Services.GetRequiredService<ITransport>().Name, Is.EqualTo("mmap"));
        await host.StopAsync();
    }

    [TestCase("carrier-pigeon:", "there is no transport 'carrier-pigeon'; there are mmap, uds, fifo, files")]
    [TestCase("", "names no transport")]
    [TestCase("mmap:relative/path", "has no full path")]
    [TestCase("files://host/path", "has no full path")]
    public void An_address_that_is_none_is_an_error_that_names_what_there_is(string address, string words) =>
        Assert.That(() => OttoTransport.Open(address), Throws.ArgumentException.With.Message.Contains(words));

    [Test]
    public async Task A_mistake_stops_the_host_from_starting_and_names_its_key()
    {
        Assert.That(await MessageOfAsync(("Transport", "pigeon:")), Does.Contain("Transport: there is no transport 'pigeon'"));
        Assert.That(await MessageOfAsync(("Transprot", "mmap:")),
            Does.Contain("Otto:Ipc:Transprot is not an option; known here: Transport, Mmap"));
        Assert.That(await MessageOfAsync(("Mmap:Directroy", "/x")), Does.Contain("Otto:Ipc:Mmap:Directroy").And.Contain("Directory"));
        Environment.SetEnvironmentVariable(OttoTransport.EnvironmentVariable, "nothing:");
        Assert.That(await MessageOfAsync(), Does.Contain("OTTO_TRANSPORT: there is no transport 'nothing'"));
    }

    [Test]
    public async Task A_shape_that_a_transport_does_not_offer_is_an_error_that_names_those_that_do()
    {
        await using ITransport fifo = OttoTransport.Open(AddressOf("fifo"));
        Assert.That(
            () => fifo.Require<IQueueTransport>(),
            Throws.InstanceOf<NotSupportedException>().With.Message.EqualTo(
                "the transport 'fifo' offers no queue, it offers: stream. A queue is offered by: mmap, files"));
        using IHost host = HostWith(("Transport", AddressOf("fifo")));
        await host.StartAsync();
        Assert.That(() => host.Services.GetRequiredService<IStoreTransport>(), Throws.InstanceOf<NotSupportedException>());
        await host.StopAsync();
    }

    [Test]
    public void Adding_it_twice_is_an_error()
    {
        IServiceCollection services = new ServiceCollection().AddOttoIpc(new ConfigurationBuilder().Build());
        Assert.That(() => services.AddOttoIpc(new ConfigurationBuilder().Build()), Throws.InvalidOperationException);
    }

    private static IHost HostWith(params (string Key, string Value)[] settings)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(settings.Select(s => KeyValuePair.Create($"Otto:Ipc:{s.Key}", (string?)s.Value)));
        builder.Services.AddOttoIpc(builder.Configuration.GetSection("Otto:Ipc"));
        return builder.Build();
    }

    private static async Task<string> MessageOfAsync(params (string Key, string Value)[] settings)
    {
        using IHost host = HostWith(settings);
        try
        {
            await host.StartAsync();
        }
        catch (OptionsValidationException e)
        {
            return e.Message;
        }

        return "it started";
    }
}
