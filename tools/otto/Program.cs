using System.CommandLine;
using Otto.Tools;
using Otto.Tools.Completion;
using Otto.Tools.Demo;
using Otto.Tools.Doctor;
using Otto.Tools.Ipc;
using Otto.Tools.Pipe;
using Otto.Tools.Queue;
using Otto.Tools.Server;
using Otto.Tools.KeyValue;
using Otto.Tools.Streams;
using Otto.Tools.Top;

// The otto tool: one command a concern: the server of sockets and what talks to it, streams, the relay, the segments, the queues, the demo.

// The guard of a worker's commands: before all else, since a worker waits for none of what follows.
if (args is [GuardProcess.Command, ..]) return GuardProcess.Run(args);

var root = new RootCommand("Inter-process communication and task queues from the command line. Example: otto demo --quick");
root.Add(DemoCommand.Create());
root.Add(DemoCommand.CreateAgents());
root.Add(IpcCommand.Create());
root.Add(QueueCommand.Create());
root.Add(TopCommand.Create());
root.Add(DoctorCommand.Create());
root.Add(StreamCommands.CreateSend());
root.Add(StreamCommands.CreateReceive());
root.Add(PipeCommand.Create());
root.Add(ServeCommand.Create());
foreach (Command command in (IEnumerable<Command>)[.. StoreCommands.Create(), .. PubSubCommands.Create()]) root.Add(command);
var progress = new Command(
    "progress",
    """
    Reports the progress of a task to the server. Without a server it prints nothing and exits with 0.

    The last update of a task, CUR of CUR, is retried until --timeout if the server is busy or starting. If the socket
    or its lock file exists and no server answers in that time, the exit code is 3.

    Example:
      otto progress 3 10 compiling main.c --task build
    """);
ProgressReport.Build("otto", progress);
root.Add(progress);
root.Add(CompletionCommand.Create());
return Suggestions.IsAsked(args) ? Suggestions.Print(root, args) : ToolCommand.Run("otto", root, args);
