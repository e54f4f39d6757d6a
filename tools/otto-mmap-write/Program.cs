using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Otto.Ipc.Mmap.Regions;
using Otto.Tools;

// Sets one key of a task's region, from a shell script.

var key = new Argument<string>("KEY") { Description = "1 to 250 bytes without white space." };
var value = new Argument<string?>("VALUE")
    { Description = "The value, a string; '-' or nothing reads standard input, less one newline at its end.",
        Arity = ArgumentArity.ZeroOrOne };
var json = new Option<string?>("--json-value")
    { Description = "The value is JSON: JSON given here, or VALUE or standard input where nothing is.", HelpName = "JSON",
        Arity = ArgumentArity.ZeroOrOne };
var size = new Option<string?>("--size")
    { Description = "How many bytes of JSON a new region holds, K and M allowed (default 64K). An existing one keeps its size.",
        HelpName = "BYTES" };

var command = new RootCommand(
    """
    Sets a key in a task's region, a JSON object in shared memory, and makes the region where there is none.

    Example:
      otto-mmap-write build step compile
      otto-mmap-write build progress --json-value '{"done":3,"of":10}'
      git log -1 | otto-mmap-write build commit
    """);
RegionOption choice = new RegionOption(command, "How long to wait for other writers (default 30).");
command.Add(key);
command.Add(value);
command.Add(json);
command.Add(size);

command.SetAction(parsed =>
{
    var options = new RegionOptions
    {
        CapacityBytes = parsed.GetValue(size) is { } text ? ParseSize(text) : new RegionOptions().CapacityBytes,
        LockTimeout = choice.Timeout(parsed) ?? new RegionOptions().LockTimeout,
    };
    RegionLocation location = choice.Location(parsed);
    string name = parsed.GetValue(key)!;
    bool isJson = parsed.GetResult(json) is not null;
    string? given = parsed.GetValue(json);
    if (given is not null && parsed.GetValue(value) is not null)
        throw new ArgumentException("pass either VALUE or --json-value JSON, not both");
    byte[] bytes = (given ?? parsed.GetValue(value)) is { } argument and not "-" ? Encoding.UTF8.GetBytes(argument) : ReadInput();
    JsonNode? node = isJson ? ParseJson(bytes) : JsonValue.Create(Encoding.UTF8.GetString(bytes));

    JsonRegion.OpenOrCreate(location, options).Set(name, node);
    return ExitCode.Done;
});
return ToolCommand.Run("otto-mmap-write", command, args);

static byte[] ReadInput() => StandardInput.ReadText(
    RegionOptions.MaxCapacityBytes,
    read => new RegionFullException($"standard input has more than {RegionOptions.MaxCapacityBytes:N0} bytes, the most a region can hold",
        read, RegionOptions.MaxCapacityBytes));

static JsonNode? ParseJson(byte[] text)
{
    try
    {
        return JsonNode.Parse(text);
    }
    catch (JsonException e)
    {
        throw new ArgumentException($"the value is not JSON: {e.Message}", e);
    }
}

static int ParseSize(string text)
{
    int shift = text.Length == 0 ? 0 : text[^1] switch { 'K' or 'k' => 10, 'M' or 'm' => 20, _ => 0 };
    return long.TryParse(shift == 0 ? text : text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out long number)
        && number <= RegionOptions.MaxCapacityBytes >> shift
        ? (int)(number << shift)
        : throw new ArgumentException(
            $"--size must be {RegionOptions.MinCapacityBytes} to {RegionOptions.MaxCapacityBytes} bytes, K and M allowed: '{text}'");
}
