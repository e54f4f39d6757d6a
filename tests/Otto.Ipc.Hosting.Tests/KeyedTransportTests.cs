using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Otto.Ipc.Hosting.Tests;

// AddOttoIpc with names: several transports in one program, each with options of its own.

[TestFixture]
public sealed class KeyedTransportTests : TransportTest
{
    [Test]
    public async Task Each_name_has_a_transport_beside_the_one_without_a_name()
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddOttoIpc(options => options.Transport = AddressOf("fifo"));
        builder.Services.AddOttoIpc("local", AddressOf("mmap"));
        builder.Services.AddOttoIpc("log", options => options.Transport = AddressOf("files"));
        using IHost host = builder.Build();
        await host.StartAsync();
        Assert.That(host.Services.GetRequiredService<ITransport>().Name, Is.EqualTo("fifo"));
        Assert.That(host.Services.GetRequiredKeyedService<ITransport>("local").Name, Is.EqualTo("mmap"));
        Assert.That(host.Services.GetRequiredKeyedService<ITransport>("log").Name, Is.EqualTo("files"));
        Assert.That(
            host.Services.GetRequiredKeyedService<IStreamTransport>("log"),
            Is.SameAs(host.Services.GetRequiredKeyedService<ITransport>("log")));

        IQueueTransport queues = host.Services.GetRequiredKeyedService<IQueueTransport>("local");
        await using WorkQueue queue = await queues.OpenQueueAsync("work");
        Assert.That(queue.TrySend("x"u8), Is.True);
        Assert.That(() => host.Services.GetRequiredService<IQueueTransport>(), Throws.InstanceOf<NotSupportedException>(),
            "a fifo has no queues");
        Assert.That(() => host.Services.GetRequiredKeyedService<ITransport>("cache"), Throws.InvalidOperationException);
        await host.StopAsync();
    }

    [Test]
    public async Task A_consumer_asks_for_its_transport_by_name()
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddOttoIpc("log", AddressOf("files"));
        builder.Services.AddSingleton<Consumer>();
        using IHost host = builder.Build();
        await host.StartAsync();
        Assert.That(host.Services.GetRequiredService<Consumer>().Streams.Name, Is.EqualTo("files"));
        Assert.That(host.Services.GetService<ITransport>(), Is.Null, "only names were added");
        await host.StopAsync();
    }

    [Test]
    public async Task Each_name_has_a_section_and_options_of_its_own()
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Otto:Ipc:Transport"] = AddressOf("mmap"),
            ["Otto:Log:Transport"] = "files:",
            ["Otto:Log:Files:Directory"] = Folder + "/logs",
        });
        builder.Services.AddOttoIpc(builder.Configuration.GetSection("Otto:Ipc"));
        builder.Services.AddOttoIpc("log", builder.Configuration.GetSection("Otto:Log"), options => options.Transport = "fifo:");
        builder.Services.Configure<OttoIpcOptions>("log", options => options.Files = options.Files with { Flush = Files.FlushLevel.File });
        using IHost host = builder.Build();
        await host.StartAsync();
        IOptionsMonitor<OttoIpcOptions> options = host.Services.GetRequiredService<IOptionsMonitor<OttoIpcOptions>>();
        OttoIpcOptions log = options.Get("log");
        Assert.That((options.CurrentValue.Transport, log.Transport), Is.EqualTo((AddressOf("mmap"), "files:")),
            "the section overrides the code");
        Assert.That((log.Files.Directory, log.Files.Flush), Is.EqualTo((Folder + "/logs", Files.FlushLevel.File)));
        var transport = (Files.FilesTransport)host.Services.GetRequiredKeyedService<ITransport>("log");
        Assert.That(transport.Directory, Is.EqualTo(Folder + "/logs"));
        await host.StopAsync();
    }

    [Test]
    public async Task The_environment_overrides_only_the_transport_without_a_name()
    {
        Environment.SetEnvironmentVariable(OttoTransport.EnvironmentVariable, AddressOf("files"));
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddOttoIpc(options => options.Transport = AddressOf("fifo")).AddOttoIpc("local", AddressOf("mmap"));
        using IHost host = builder.Build();
        await host.StartAsync();
        Assert.That(host.Services.GetRequiredService<ITransport>().Name, Is.EqualTo("files"));
        Assert.That(host.Services.GetRequiredKeyedService<ITransport>("local").Name, Is.EqualTo("mmap"));
        await host.StopAsync();
    }

    [Test]
    public void A_mistake_of_a_named_transport_stops_the_host_from_starting()
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddOttoIpc("log", "pigeon:");
        using IHost host = builder.Build();
        Assert.That(
            async () => await host.StartAsync(),
            Throws.TypeOf<OptionsValidationException>().With.Message.Contains("there is no transport 'pigeon'"));
    }

    [Test]
    public void A_name_that_was_added_before_is_an_error()
    {
        IServiceCollection services = new ServiceCollection().AddOttoIpc("log", "files:");
        Assert.That(() => services.AddOttoIpc("log", "mmap:"), Throws.InvalidOperationException.With.Message.Contains("'log'"));
        services.AddOttoIpc("other", "mmap:");
        services.AddOttoIpc(static _ => { });
        Assert.That(() => services.AddOttoIpc(static _ => { }), Throws.InvalidOperationException);
    }

    private sealed class Consumer([FromKeyedServices("log")] IStreamTransport streams)
    {
        public IStreamTransport Streams { get; } = streams;
    }
}
