using System.CommandLine;
using System.Globalization;
using System.Text;
using Otto.Ipc;
using Otto.Ipc.Uds;
using Otto.Tools.KeyValue;

namespace Otto.Tools.Server;

// otto watch, pub, sub: what changes, and what is said. A listener ends when it has received enough, when
// its reader leaves, or when it is told to.

internal static class PubSubCommands
{
    private static readonly TimeSpan Usual = TimeSpan.FromSeconds(30), Least = TimeSpan.FromSeconds(1);

    // How often a listener asks whether anybody still reads its output.
    private static readonly TimeSpan Slice = TimeSpan.FromSeconds(1);

    public static IEnumerable<Command> Create() => [CreateWatch(), CreatePublish(), CreateSubscribe()];

    private static Command CreateWatch()
    {
        var glob = new Argument<string?>("GLOB")
            { Description = "Which keys: * any run, ? one, [a-z] one of a range; in quotes. Default: all.",
                Arity = ArgumentArity.ZeroOrOne };
        var snapshot = new Option<bool>("--snapshot") { Description = "Start with the current values." };
        Option<string?> count = Count("changes");
        var json = new Option<bool>("--json")
            { Description = "Print each change as one JSON object: {\"event\":\"set\",\"key\":…,\"value\":…}." };
        var command = new Command(
            "watch",
            """
            Prints changes, one per line: SET KEY JSON, or DELETE KEY. A slow reader receives only the newest value of each key.

            Example:
              otto watch '*.progress' --json | jq .value.current
              otto watch 'build.*' | while read -r kind key value; do echo "$key is now $value"; done
            """) { glob, snapshot, count, json };
        StoreOptions choice = new StoreOptions(command, "Seconds to wait for the next change (default: no limit).", null);
        command.SetAction((parsed, _) => SocketOption.ReportAsync("otto", async () =>
        {
            (UdsClient? client, TaskStores? stores) = choice.Open(parsed);
            await using IAsyncDisposable place = client ?? (IAsyncDisposable)stores!;
            string pattern = parsed.GetValue(glob) ?? "*";
            bool wantsAll = parsed.GetValue(snapshot);
            await using IStoreWatch watch =
                await OpenAsync(choice.Timeout(parsed),
                    stop => client?.WatchAsync(pattern, wantsAll, stop) ?? stores!.WatchAsync(pattern, wantsAll, stop));
            return await ListenAsync(watch, watch, Number(parsed.GetValue(count)), choice.Timeout(parsed), change =>
            {
                bool set = change.Kind == StoreChangeKind.Set;
                if (!parsed.GetValue(json))
                {
                    StandardOutput.WriteLine(
                        set ? [.. Encoding.UTF8.GetBytes($"SET {change.Key} "), .. StoredJson.FromValue(change.Value).Span]
                        : Encoding.UTF8.GetBytes($"DELETE {change.Key}"));
                    return;
                }

                ValueText.PrintJson(writer =>
                {
                    writer.WriteString("event", set ? "set" : "delete");
                    writer.WriteString("key", change.Key);
                    if (set) ValueText.Write(writer, "value", change.Value);
                });
            });
        }));
        return command;
    }

    private static Command CreatePublish()
    {
        Argument<string> topic = Topic("The topic.");
        var command = new Command(
            "pub",
            """
            Publishes a message to all current subscribers. A plain message is sent as a string.

            Example:
              otto pub alerts 'build is done'
              otto pub alerts --json-value '{"build":"done"}'
            """) { topic };
        (Argument<string?> Value, Option<string?> Json) message = ValueText.Add(command, "MSG");
        SocketOption choice = new SocketOption(command, "Timeout in seconds (default 30).", Usual);
        command.SetAction((parsed, _) => SocketOption.ReportAsync("otto", async () =>
        {
            StoreKey.Check(parsed.GetValue(topic)!);
            byte[] bytes = ValueText.Read(parsed, message);
            return await choice.RunAsync(parsed, async (client, stop) =>
            {
                await client.PublishAsync(parsed.GetValue(topic)!, bytes, stop);
                return ExitCode.Done;
            });
        }));
        return command;
    }

    private static Command CreateSubscribe()
    {
        Argument<string> topic = Topic("The topic, or a pattern in quotes.");
        Option<string?> count = Count("messages");
        var json = new Option<bool>("--json")
            { Description = "Print each message as one JSON object: {\"topic\":…,\"message\":…,\"lost\":…}." };
        var command = new Command(
            "sub",
            """
            Prints the messages of a topic, one per line: a string without its quotes, anything else as JSON. Prints the
            number of lost messages to standard error if they arrive faster than they are read.

            Example:
              otto sub alerts --count 1
            """) { topic, count, json };
        SocketOption choice = new SocketOption(command, "Seconds to wait for the next message (default: no limit).", null);
        command.SetAction((parsed, _) => SocketOption.ReportAsync("otto", async () =>
        {
            await using UdsClient client = choice.Client(parsed);
            await using UdsSubscription messages =
                await OpenAsync(choice.Timeout(parsed), stop => client.SubscribeAsync(parsed.GetValue(topic)!, stop));
            return await ListenAsync(messages, messages, Number(parsed.GetValue(count)), choice.Timeout(parsed), message =>
            {
                if (message.Lost > 0) Console.Error.WriteLine($"otto: {message.Lost:N0} messages were lost here");
                if (!parsed.GetValue(json))
                {
                    ValueText.Print(message.Bytes);
                    return;
                }

                ValueText.PrintJson(writer =>
                {
                    writer.WriteString("topic", message.Topic);
                    ValueText.Write(writer, "message", message.Bytes);
                    writer.WriteNumber("lost", message.Lost);
                });
            });
        }));
        return command;
    }

    /// <summary>Begins to listen, within the time that each next one may take, or a second
    /// where that is less.</summary>
    private static Task<T> OpenAsync<T>(TimeSpan? timeout, Func<CancellationToken, ValueTask<T>> open) =>
        SocketOption.WithinAsync(timeout is not { } asked ? Usual : asked > Least ? asked : Least, open);

    private static async Task<int> ListenAsync<T>(IAsyncEnumerable<T> messages, IAsyncDisposable source, long count, TimeSpan? timeout,
        Action<T> print)
    {
        IAsyncEnumerator<T> received = messages.GetAsyncEnumerator();
        for (long i = 0; i < count; i++)
        {
            Task<bool> next = received.MoveNextAsync().AsTask();
            if (!await IsReceivedAsync(next, timeout))
            {
                // A pending MoveNextAsync completes without an item.
                await source.DisposeAsync();
                await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                return ExitCode.Done;
            }

            if (!await next) break;
            print(received.Current);
        }

        await received.DisposeAsync();
        return ExitCode.Done;
    }

    /// <summary>Waits for the next one.</summary>
    /// <returns><see langword="false"/> where nobody reads the output any more.</returns>
    private static async Task<bool> IsReceivedAsync(Task next, TimeSpan? timeout)
    {
        for (TimeSpan waited = TimeSpan.Zero; !next.IsCompleted;)
        {
            TimeSpan wait = timeout is { } limit && limit - waited < Slice ? limit - waited : Slice;
            if (wait <= TimeSpan.Zero) throw new TimeoutException($"nothing was received for {timeout!.Value.TotalSeconds:0.###} s");
            await Task.WhenAny(next, Task.Delay(wait));
            waited += wait;
            if (StandardOutput.IsBroken) return false;
        }

        return true;
    }

    private static Argument<string> Topic(string description) => new("TOPIC") { Description = description };

    private static Option<string?> Count(string what) => new("--count") { Description = $"End after this many {what}.", HelpName = "N" };

    private static long Number(string? text) => text is null ? long.MaxValue
        : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number) && number > 0 ? number
        : throw new ArgumentException($"--count must be a number, 1 or more: '{text}'");
}
