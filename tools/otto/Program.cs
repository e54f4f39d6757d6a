using System.CommandLine;
using Otto.Tools;
using Otto.Tools.Demo;

// The otto tool: one command a concern. Today that is the demo; queues, segments and the store join it.

var root = new RootCommand("Otto.Ipc from the command line. Example: otto demo --quick");
root.Add(DemoCommand.Create());
root.Add(DemoCommand.CreateAgents());
return ToolCommand.Run("otto", root, args);
