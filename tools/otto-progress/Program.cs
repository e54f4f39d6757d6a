using System.CommandLine;
using Otto.Tools;
using Otto.Tools.Server;

// Tells how far a task is, from a shell script, to whoever watches. Without a server it says nothing and is done.

var command = new RootCommand(
    """
    Reports the progress of a task to the server. Without a server it prints nothing and exits with 0.

    The last update of a task, CUR of CUR, is retried until --timeout if the server is busy or restarting.
    If the socket exists but no server answers, the command waits 2 seconds for one.

    Example:
      export OTTO_TASK_NAME=build
      otto-progress 3 10 compiling main.c
      otto-progress 10 10 done
    """);
ProgressReport.Build("otto-progress", command);
return ToolCommand.Run("otto-progress", command, args);
