using System.CommandLine;
using Otto.Tools;
using Otto.Tools.Completion;
using Otto.Tools.Demo;
using Otto.Tools.Ipc;
using Otto.Tools.Pipe;
using Otto.Tools.Queue;
using Otto.Tools.Sockets;
using Otto.Tools.Stores;
using Otto.Tools.Streams;
using Otto.Tools.Top;

// The otto tool: one command a concern: the server of sockets and what talks to it, streams, the relay, the segments, the queues, the demo.

var root = new RootCommand("Otto.Ipc from the command line. Example: otto demo --quick");
root.Add(DemoCommand.Create());
root.Add(DemoCommand.CreateAgents());
root.Add(IpcCommand.Create());
root.Add(QueueCommand.Create());
root.Add(TopCommand.Create());
root.Add(StreamCommands.CreateSend());
root.Add(StreamCommands.CreateReceive());
root.Add(PipeCommand.Create());
root.Add(ServeCommand.Create());
foreach (Command command in (IEnumerable<Command>)[.. StoreCommands.Create(), .. NewsCommands.Create()]) root.Add(command);
var progress = new Command(
    "progress",
    """
    Tells the server how far a task is. Without a server it says nothing and exits with 0.

    The last update of a task, CUR of CUR, is tried again for as long as --timeout says where the server is busy or being started again. Where its
    socket is there and nobody serves, a server is waited for 2 seconds.

    Example:
      otto progress 3 10 compiling main.c --task build
    """);
ProgressReport.Build("otto", progress);
root.Add(progress);
root.Add(CompletionCommand.Create());
return Suggestions.IsAsked(args) ? Suggestions.Print(root, args) : ToolCommand.Run("otto", root, args);
