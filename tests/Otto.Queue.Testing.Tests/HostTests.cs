using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Otto.Queue.Testing.Tests;

/// <summary>A whole program under test: its own registrations, its host, and one more line.</summary>
[CancelAfter(60_000)]
internal sealed class HostTests
{
    private sealed record Invoice(int Number);

    private sealed class Book
    {
        public List<(int Number, DateTimeOffset At)> Entries { get; } = [];
    }

    private sealed class InvoiceHandler(Book book, TimeProvider time) : ITaskHandler<Invoice>
    {
        public ValueTask HandleAsync(Invoice task, TaskContext context, CancellationToken cancellationToken)
        {
            book.Entries.Add((task.Number, time.GetUtcNow()));
            return default;
        }
    }

    [Test]
    public async Task The_programs_own_queue_runs_in_memory_by_the_tests_clock()
    {
        HostApplicationBuilder program = Host.CreateEmptyApplicationBuilder(null);
        program.Services.AddSingleton<Book>().AddSingleton(TimeProvider.System);
        program.Services.AddOttoQueue(
            static queue => queue.AddHandler<Invoice, InvoiceHandler>("invoices").UseSharedMemory(
                static o => o.Directory = "/no/such/directory"));
        program.Services.AddTestTaskQueue();
        using IHost host = program.Build();
        TestTaskQueue queue = host.Services.GetRequiredService<TestTaskQueue>();
        await host.StartAsync();

        await host.Services.GetRequiredService<ITaskQueue>().EnqueueAsync(new Invoice(7), new() { Delay = TimeSpan.FromDays(30) });
        Assert.That(await queue.RunAsync(), Is.Zero);
        Assert.That(await queue.AdvanceAsync(TimeSpan.FromDays(30)), Is.EqualTo(1));

        Assert.That(host.Services.GetRequiredService<Book>().Entries,
            Is.EqualTo(new[] { (7, new DateTimeOffset(2000, 1, 31, 0, 0, 0, TimeSpan.Zero)) }));
        await host.StopAsync();
    }
}
