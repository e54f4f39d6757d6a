using System.CommandLine;
using System.Text;
using Otto.Ipc;

namespace Otto.Tools.Sockets;

// otto get, set, del, list: the store of the server, one command each. Keys are the server's own: a task's are TASK.KEY.

internal static class StoreCommands
{
    private const string HowLong = "How long it may take (default 30).";
    private static readonly TimeSpan Usual = TimeSpan.FromSeconds(30);

    public static IEnumerable<Command> Create() => [CreateGet(), CreateSet(), CreateDelete(), CreateList()];

    private static Command CreateGet()
    {
        Argument<string> key = Key();
        var fallback = new Option<string?>("--default") { Description = "Print this where there is no such key.", HelpName = "V" };
        Option<bool> json = Json("Print one JSON object: {\"key\":…,\"value\":…}.");
        var command = new Command(
            "get",
            """
            Prints the value of a key: a string without its quotes, anything else as JSON. Bytes that are no JSON print as {"$base64":"…"}.

            Example:
              step=$(otto get build.step --default none)
              otto get build.progress | jq .current
            """) { key, fallback, json };
        var choice = new SocketChoice(command, HowLong, Usual);
        command.SetAction((parsed, _) => SocketChoice.ReportAsync("otto", () => choice.RunAsync(parsed, async (client, stop) =>
        {
            string name = parsed.GetValue(key)!;
            ReadOnlyMemory<byte>? value = await client.GetAsync(name, stop);
            if (value is null && parsed.GetValue(fallback) is not null) value = Encoding.UTF8.GetBytes("\"" + System.Text.Json.JsonEncodedText.Encode(parsed.GetValue(fallback)!) + "\"");
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
        })));
        return command;
    }

    private static Command CreateSet()
    {
        Argument<string> key = Key();
        var command = new Command(
            "set",
            """
            Sets a key. A bare value is a string.

            Example:
              otto set build.step compile
              otto set build.of --json-value 10
              git log -1 | otto set build.commit
            """) { key };
        (Argument<string?> Value, Option<string?> Json) value = ValueText.Add(command, "VALUE");
        var choice = new SocketChoice(command, HowLong, Usual);
        command.SetAction((parsed, _) => SocketChoice.ReportAsync("otto", async () =>
        {
            StoreKey.Check(parsed.GetValue(key)!);
            byte[] bytes = ValueText.Read(parsed, value);
            return await choice.RunAsync(parsed, async (client, stop) =>
            {
                await client.SetAsync(parsed.GetValue(key)!, bytes, stop);
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
            Deletes a key; code 1 where there was none.

            Example:
              otto del build.step
            """) { key };
        var choice = new SocketChoice(command, HowLong, Usual);
        command.SetAction((parsed, _) => SocketChoice.ReportAsync("otto", () => choice.RunAsync(parsed, async (client, stop) =>
            await client.DeleteAsync(parsed.GetValue(key)!, stop) ? ExitCode.Done : NotFound(parsed.GetValue(key)!))));
        return command;
    }

    private static Command CreateList()
    {
        var glob = new Argument<string?>("GLOB") { Description = "Which keys: * any run, ? one, [a-z] one of a range; in quotes. Default: all.", Arity = ArgumentArity.ZeroOrOne };
        Option<bool> json = Json("Print each key as one JSON object: {\"key\":…}.");
        var command = new Command(
            "list",
            """
            Lists keys, sorted, a line each.

            Example:
              otto list 'build.*'
            """) { glob, json };
        var choice = new SocketChoice(command, HowLong, Usual);
        command.SetAction((parsed, _) => SocketChoice.ReportAsync("otto", () => choice.RunAsync(parsed, async (client, stop) =>
        {
            foreach (string name in await client.ListAsync(parsed.GetValue(glob) ?? "*", stop))
            {
                if (parsed.GetValue(json)) ValueText.PrintJson(writer => writer.WriteString("key", name));
                else StandardOutput.WriteLine(Encoding.UTF8.GetBytes(name));
            }

            return ExitCode.Done;
        })));
        return command;
    }

    private static int NotFound(string key)
    {
        Console.Error.WriteLine($"otto: no key '{key}'");
        return ExitCode.Failed;
    }

    private static Argument<string> Key() => new("KEY") { Description = "The key, such as build.step: 1 to 250 bytes without white space." };

    private static Option<bool> Json(string description) => new("--json") { Description = description };
}
