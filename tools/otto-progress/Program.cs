using System.CommandLine;
using Otto.Tools;
using Otto.Tools.Sockets;

// Tells how far a task is, from a shell script, to whoever watches. Without a server it says nothing and is done.

var command = new RootCommand(
    """
    Tells the server how far a task is. Without a server it says nothing and exits with 0.

    The last update of a task, CUR of CUR, is tried again for as long as --timeout says where the server is busy or being started again. Where its
    socket is there and nobody serves, a server is waited for 2 seconds.

    Example:
      export OTTO_TASK_NAME=build
      otto-progress 3 10 compiling main.c
      otto-progress 10 10 done
    """);
ProgressReport.Build("otto-progress", command);
return ToolCommand.Run("otto-progress", command, args);
