using System.CommandLine;
using Otto.Tools;
using Otto.Tools.Demo;
using Otto.Tools.Ipc;
using Otto.Tools.Queue;

// The otto tool: one command a concern. Today these are the demo, the segments and the queues; the store joins them.

var root = new RootCommand("Otto.Ipc from the command line. Example: otto demo --quick");
root.Add(DemoCommand.Create());
root.Add(DemoCommand.CreateAgents());
root.Add(IpcCommand.Create());
root.Add(QueueCommand.Create());
return ToolCommand.Run("otto", root, args);
