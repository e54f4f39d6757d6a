using System.CommandLine;
using Otto.Tools;
using Otto.Tools.Demo;
using Otto.Tools.Ipc;
using Otto.Tools.Streams;
using Otto.Tools.Pipe;

// The otto tool: one command a concern. Today these are the demo, the segments and the relay; queues and the store join them.

var root = new RootCommand("Otto.Ipc from the command line. Example: otto demo --quick");
root.Add(DemoCommand.Create());
root.Add(DemoCommand.CreateAgents());
root.Add(IpcCommand.Create());
root.Add(StreamCommands.CreateSend());
root.Add(StreamCommands.CreateReceive());
root.Add(PipeCommand.Create());
return ToolCommand.Run("otto", root, args);
