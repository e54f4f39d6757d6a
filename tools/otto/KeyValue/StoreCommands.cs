using System.CommandLine;
using System.Text;
using Otto.Ipc;
using Otto.Tools.Server;

namespace Otto.Tools.KeyValue;

// otto get, set, del, list: the store of the server or of another transport, one command each. A task's keys are TASK.KEY.

internal static class StoreCommands
{
    private const string HowLong = "Timeout in seconds (default 30).";
    private static readonly TimeSpan Usual = TimeSpan.FromSeconds(30);

    public static IEnumerable<Command> Create() => [CreateGet(), CreateSet(), CreateDelete(), CreateList()];

    private static Command CreateGet()
    {
        Argument<string> key = Key();
        var fallback = new Option<string?>("--default") { Description = "Print this if the key does not exist.", HelpName = "V" };
        Option<bool> json = Json("Print one JSON object: {\"key\":…,\"value\":…}.");
        var command = new Command(
            "get",
            """
            Prints the value of a key: a string without its quotes, anything else as JSON. Bytes that are no JSON print as {"$base64":"…"}.

            Example:
              step=$(otto get build.step --default none)
              otto get build.progress | jq .current
              otto get build.step --transport files:
            """) { key, fallback, json };
        StoreOptions choice = new StoreOptions(command, HowLong, Usual);
        command.SetAction((parsed, _) => SocketOption.ReportAsync("otto", () =>
        {
            string name = parsed.GetValue(key)!;
            return choice.RunAsync(parsed, async (client, stop) => Report(parsed, name, await client.GetAsync(name, stop)),
                async (stores, stop) => Report(parsed, name, await stores.GetAsync(name, stop)));
        }));
        return command;

        int Report(ParseResult parsed, string name, ReadOnlyMemory<byte>? value)
        {
            if (value is null && parsed.GetValue(fallback) is not null)
                value = Encoding.UTF8.GetBytes("\"" + System.Text.Json.JsonEncodedText.Encode(parsed.GetValue(fallback)!) + "\"");
            if (value is not { } found) return NotFound(name);
            if (!parsed.GetValue(json))
            {
                ValueText.Print(found);
                return ExitCode.Done;
            }

            ValueText.PrintJson(writer =>
            {
                writer.WriteString("key", name);
                ValueText.Write(writer, "value", found);
            });
            return ExitCode.Done;
        }
    }

    private static Command CreateSet()
    {
        Argument<string> key = Key();
        var command = new Command(
            "set",
            """
            Sets a key. A plain value is a string. Pass bytes that are not UTF-8 through '-' (standard input); as an argument
            they would be changed.

            Example:
              otto set build.step compile
              otto set build.of --json-value 10
              git log -1 | otto set build.commit
            """) { key };
        (Argument<string?> Value, Option<string?> Json) value = ValueText.Add(command, "VALUE");
        StoreOptions choice = new StoreOptions(command, HowLong, Usual);
        command.SetAction((parsed, _) => SocketOption.ReportAsync("otto", async () =>
        {
            StoreKey.Check(parsed.GetValue(key)!);
            byte[] bytes = ValueText.Read(parsed, value);
            return await choice.RunAsync(
                parsed,
                async (client, stop) =>
                {
                    await client.SetAsync(parsed.GetValue(key)!, bytes, stop);
                    return ExitCode.Done;
                },
                async (stores, stop) =>
                {
                    await stores.SetAsync(parsed.GetValue(key)!, bytes, stop);
                    return ExitCode.Done;
                });
        }));
        return command;
    }

    private static Command CreateDelete()
    {
        Argument<string> key = Key();
        var command = new Command(
            "del",
            """
            Deletes a key; exit code 1 if the key does not exist.

            Example:
              otto del build.step
            """) { key };
        StoreOptions choice = new StoreOptions(command, HowLong, Usual);
        command.SetAction((parsed, _) => SocketOption.ReportAsync("otto", () =>
        {
            string name = parsed.GetValue(key)!;
            return choice.RunAsync(
                parsed,
                async (client, stop) => await client.DeleteAsync(name, stop) ? ExitCode.Done : NotFound(name),
                async (stores, stop) => await stores.DeleteAsync(name, stop) ? ExitCode.Done : NotFound(name));
        }));
        return command;
    }

    private static Command CreateList()
    {
        var glob = new Argument<string?>("GLOB")
            { Description = "Which keys: * any run, ? one, [a-z] one of a range; in quotes. Default: all.",
                Arity = ArgumentArity.ZeroOrOne };
        Option<bool> json = Json("Print each key as one JSON object: {\"key\":…}.");
        var command = new Command(
            "list",
            """
            Lists keys in order, one per line.

            Example:
              otto list 'build.*'
            """) { glob, json };
        StoreOptions choice = new StoreOptions(command, HowLong, Usual);
        command.SetAction((parsed, _) => SocketOption.ReportAsync("otto", () =>
        {
            string pattern = parsed.GetValue(glob) ?? "*";
            return choice.RunAsync(parsed, async (client, stop) => Print(parsed, await client.ListAsync(pattern, stop)),
                async (stores, stop) => Print(parsed, await stores.ListAsync(pattern, stop)));
        }));
        return command;

        int Print(ParseResult parsed, IReadOnlyList<string> names)
        {
            foreach (string name in names)
            {
                if (parsed.GetValue(json)) ValueText.PrintJson(writer => writer.WriteString("key", name));
                else StandardOutput.WriteLine(Encoding.UTF8.GetBytes(name));
            }

            return ExitCode.Done;
        }
    }

    private static int NotFound(string key)
    {
        Console.Error.WriteLine($"otto: no key '{key}'");
        return ExitCode.Failed;
    }

    private static Argument<string> Key() =>
        new("KEY") { Description = "The key, such as build.step: 1 to 250 bytes without white space." };

    private static Option<bool> Json(string description) => new("--json") { Description = description };
}
