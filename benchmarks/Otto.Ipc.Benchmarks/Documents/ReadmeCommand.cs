using System.CommandLine;
using Otto.Ipc.Benchmarks.Matrix.Results;

namespace Otto.Ipc.Benchmarks.Documents;

// eng/bench readme [--check]

internal static class ReadmeCommand
{
    public static Command Create()
    {
        var check = new Option<bool>("--check") { Description = "Only say what differs, and fail where something does" };
        var command = new Command("readme", "Writes the newest results into README.md, the pages of docs and the reports") { check };
        command.SetAction(parsed =>
        {
            var documents = new MeasuredDocuments(Checkout.Root);
            string[] stale = [.. documents.Stale()];
            bool only = parsed.GetValue(check);
            foreach ((string path, string text) in documents.All().Where(d => stale.Contains(d.Path)).ToArray())
            {
                Console.WriteLine($"{path} {(only ? "differs from the newest results" : "written")}");
                if (!only) File.WriteAllText(Path.Combine(Checkout.Root, path), text);
            }

            return only && stale.Length > 0 ? 1 : 0;
        });
        return command;
    }
}
