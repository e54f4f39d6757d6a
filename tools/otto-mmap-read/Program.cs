using System.CommandLine;
using Otto.Ipc.Mmap.Regions;
using Otto.Tools;

// Prints a key of a task's region, or all of it; once, or each time it changes.

var key = new Argument<string?>("KEY") { Description = "The key; without one the whole region is printed as JSON.",
    Arity = ArgumentArity.ZeroOrOne };
var follow = new Option<bool>("--follow",
    "-f") { Description = "Print the value, and again each time it changes, until the region is removed." };
var fallback = new Option<string?>("--default")
    { Description = "Print this where the region or the key is missing (with --timeout: still is when the time is over).", HelpName = "V" };
var json = new Option<bool>("--json") { Description = "Print one JSON object a line: a key as {\"key\":…,\"value\":…}." };

var command = new RootCommand(
    """
    Prints a key of a task's region, a JSON object in shared memory: strings without quotes, all else as JSON.

    Example:
      step=$(otto-mmap-read build step --default none)
      otto-mmap-read build | jq .progress
      otto-mmap-read build progress --follow
    """);
RegionOption choice = new RegionOption(command, "Wait this long for the region and the key to appear, and with --follow for each next "
    + "change (default: no waiting, --follow waits indefinitely).");
command.Add(key);
command.Add(follow);
command.Add(fallback);
command.Add(json);

command.SetAction(parsed =>
{
    var reading = new RegionReading(choice.Location(parsed), parsed.GetValue(key), choice.Timeout(parsed), parsed.GetValue(fallback),
        parsed.GetValue(json));
    return parsed.GetValue(follow) ? reading.Follow() : reading.Once();
});
return ToolCommand.Run("otto-mmap-read", command, args);
