using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;
using StackExchange.Redis;

namespace Otto.Queue.Redis.Tests;

/// <summary>Why a server cannot be used is said, and one reason is not taken for another.</summary>
internal sealed class RefusedConnectionTests : RedisTest
{
    // The client tries a first connection for five seconds, three times, unless told otherwise.
    private const string Brief = ",connectTimeout=1000,connectRetry=1";

    [Test]
    public async Task A_wrong_password_is_named_as_the_error([Values] bool none)
    {
        TaskQueue queue = Make(Options().UseRedis($"127.0.0.1:{Server.Port}{(none ? "" : ",password=wrong")}").AddProducer<Job>(Name));
        await SaysAsync(queue, "rejects the password");
        Assert.That((await queue.EnqueueAsync(new Job(1))).Route, Is.EqualTo(RouteName.SharedMemory), "and tasks that may go elsewhere do");
    }

    [Test]
    public async Task What_is_said_of_a_server_has_its_address_as_it_was_given_and_the_servers_words_alone()
    {
        TaskQueue queue = Make(InProcessOnly().UseRedis($"localhost:{Server.Port}{Brief}").AddProducer<Job>(Name));
        await SaysAsync(queue, "NOAUTH");
        Assert.That(await ErrorAsync(queue), Is.EqualTo($"localhost:{Server.Port} rejects the password, or requires one (NOAUTH "
            + "Authentication required); set password= in the configuration"));
    }

    [Test]
    public async Task A_wrong_user_is_named_like_a_wrong_password()
    {
        TaskQueue queue = Make(Options().UseRedis($"127.0.0.1:{Server.Port},user=nobody,password=wrong").AddProducer<Job>(Name));
        await SaysAsync(queue, "rejects the password");
    }

    [Test]
    public async Task A_wrong_password_of_the_programs_own_connection_is_named_too()
    {
        // Such a connection keeps commands for some seconds; and what it failed of before it was passed in, no event repeats.
        await using ConnectionMultiplexer own = await ConnectionMultiplexer.ConnectAsync(
            $"127.0.0.1:{Server.Port},password=wrong,abortConnect=false,syncTimeout=300,asyncTimeout=300{Brief}");
        TaskQueue queue = Make(Options()
            .UseRedis(own, static o => o.CommandTimeout = TimeSpan.FromMilliseconds(200)).AddProducer<Job>(Name));
        await SaysAsync(queue, "rejects the password");
    }

    [Test]
    public async Task A_password_that_becomes_right_ends_the_error()
    {
        using RedisServer server = await RedisServer.StartAsync();
        TaskQueue queue = Make(InProcessOnly().UseRedis($"127.0.0.1:{server.Port},password=later{Brief}").AddProducer<Job>(Name));
        await SaysAsync(queue, "rejects the password");
        Assert.That(await server.AskAsync("CONFIG SET requirepass later"), Is.EqualTo("+OK"));
        await Eventually.Holds(() => ErrorAsync(queue).Result is null);
        Assert.That((await queue.EnqueueAsync(new Job(1))).Route, Is.EqualTo(RouteName.Redis));
    }

    [Test]
    public async Task A_password_that_changes_while_the_program_runs_is_named_until_it_is_right_again([Values] bool own)
    {
        using RedisServer server = await RedisServer.StartAsync();
        string configuration = $"{server.Configuration}{Brief},syncTimeout=500,asyncTimeout=500";
        await using ConnectionMultiplexer? multiplexer = own ? await ConnectionMultiplexer.ConnectAsync(configuration) : null;
        ServiceCollection services = new();
        services.AddLogging();
        services.AddOttoQueue(o => (multiplexer is null ? o.UseRedis(configuration) : o.UseRedis(multiplexer))
            .UseSharedMemory(static s => s.Enabled = false).AddProducer<Job>(Name)).AddHealthCheck();
        await using ServiceProvider provider = services.BuildServiceProvider();
        TaskQueue queue = provider.GetRequiredService<TaskQueue>();
        await queue.StartAsync();
        Assert.That((await queue.EnqueueAsync(new Job(1))).Route, Is.EqualTo(RouteName.Redis));

        // One connection: it may not come back in between.
        await server.AskAsync("CONFIG SET requirepass changed\r\nCLIENT KILL TYPE normal SKIPME yes\r\nCLIENT KILL TYPE pubsub",
            answers: 3);
        await Eventually.Holds(() => ErrorAsync(queue).Result?.Contains("WRONGPASS", StringComparison.Ordinal) == true);
        HealthCheckService health = provider.GetRequiredService<HealthCheckService>();
        await Eventually.Holds(() => (health.CheckHealthAsync().Result.Entries["otto-queue"].Description ?? "")
            .Contains("rejects the password, or requires one (WRONGPASS", StringComparison.Ordinal));
        // The client tries again and again, and what it says meanwhile does not hide the reason.
        Task<TaskReceipt> waiting = queue.EnqueueAsync(new Job(2)).AsTask();
        int looks = 0; // With the old password, each of which is refused as well.
        await Eventually.Holds(() => Refusals(server).Result - ++looks > 3);
        Assert.That(await ErrorAsync(queue), Does.Contain("WRONGPASS"));

        Assert.That(await server.AskAsync($"AUTH changed\r\nCONFIG SET requirepass {server.Password}", answers: 2), Is.EqualTo("+OK"));
        Assert.That((await waiting.Soon()).Route, Is.EqualTo(RouteName.Redis));
        await Eventually.Holds(() => ErrorAsync(queue).Result is null);
    }

    [Test]
    public async Task A_password_that_is_asked_for_from_now_on_is_named()
    {
        using RedisServer server = await RedisServer.StartAsync(password: "\"\"", more: "protected-mode no\n");
        TaskQueue queue = Make(InProcessOnly().UseRedis($"127.0.0.1:{server.Port}{Brief}").AddProducer<Job>(Name));
        Assert.That((await queue.EnqueueAsync(new Job(1))).Route, Is.EqualTo(RouteName.Redis));
        await server.AskAsync("CONFIG SET requirepass new\r\nCLIENT KILL TYPE normal SKIPME yes\r\nCLIENT KILL TYPE pubsub", answers: 3);
        await Eventually.Holds(() => ErrorAsync(queue).Result?.Contains("NOAUTH", StringComparison.Ordinal) == true);
    }

    [Test]
    public async Task A_certificate_that_is_not_trusted_is_not_called_a_wrong_password()
    {
        DirectoryInfo directory = Directory.CreateTempSubdirectory("otto-redis-tls-");
        try
        {
            using RSA key = RSA.Create(2048);
            using X509Certificate2 certificate =
                new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
                .CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(200));
            string pem = Path.Combine(directory.FullName, "server.pem"), keyPem = Path.Combine(directory.FullName, "key.pem");
            await File.WriteAllTextAsync(pem, certificate.ExportCertificatePem());
            await File.WriteAllTextAsync(keyPem, key.ExportPkcs8PrivateKeyPem());
            int port = RedisServer.FreePort();
            using RedisServer server = await RedisServer.StartAsync(
                more: $"tls-port {port}\ntls-cert-file {pem}\ntls-key-file {keyPem}\ntls-auth-clients no\n");
            TaskQueue queue = Make(Options().UseRedis($"127.0.0.1:{port},ssl=true,password=right{Brief}").AddProducer<Job>(Name));
            Assert.That(await SaysAsync(queue, $"the TLS handshake with 127.0.0.1:{port} failed: "), Does.Not.Contain("password"));
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    [Test]
    public async Task A_server_that_is_not_there_is_not_called_a_wrong_password()
    {
        int port = RedisServer.FreePort();
        TaskQueue queue = Make(Options().UseRedis($"127.0.0.1:{port},password=right{Brief}").AddProducer<Job>(Name));
        Assert.That(await SaysAsync(queue, $"127.0.0.1:{port}"), Does.Not.Contain("password"));
    }

    [Test]
    public async Task A_connection_without_tls_loads_no_openssl()
    {
        using PeerProcess peer = PeerProcess.Start("maps", $"redis:{Server.Configuration}", Name);
        await peer.SaysAsync("looked");
        Assert.That(peer.Lines, Is.EqualTo(new[] { "looked" }));
    }

    private static async Task<int> Refusals(RedisServer server)
    {
        string[] lines = (await server.AskAllAsync("AUTH changed\r\nINFO errorstats")).Split("\r\n");
        return lines.FirstOrDefault(static l => l.StartsWith("errorstat_WRONGPASS:count=", StringComparison.Ordinal)) is { } line
            ? int.Parse(line.Split('=')[1], System.Globalization.CultureInfo.InvariantCulture) : 0;
    }

    // On a busy machine the connection may still be under way at the first look; the next heartbeat knows more.
    // What is said until then must not be wrong.
    private async Task<string> SaysAsync(TaskQueue queue, string part)
    {
        string? said = null;
        await Eventually.Holds(() => (said = ErrorAsync(queue).Result)?.Contains(part, StringComparison.Ordinal) == true
            || said?.StartsWith("not connected", StringComparison.Ordinal) != true, part);
        Assert.That(said, Does.Contain(part));
        return said!;
    }

    private async Task<string?> ErrorAsync(TaskQueue queue)
        => (await queue.ExplainRouteAsync(Name)).Routes.Single(static r => r.Route == RouteName.Redis).Error;
}
