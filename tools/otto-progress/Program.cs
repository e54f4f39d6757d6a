using System.CommandLine;
using Otto.Tools;
using Otto.Tools.Server;

// Tells how far a task is, from a shell script, to whoever watches. Without a server it says nothing and is done.

var command = new RootCommand(
    """
    Reports the progress of a task to the server. Without a server it prints nothing and exits with 0.

    The last update of a task, CUR of CUR, is retried until --timeout if the server is busy or starting. If the socket
    or its lock file exists and no server answers in that time, the exit code is 3.

    Example:
      export OTTO_TASK_NAME=build
      otto-progress 3 10 compiling main.c
      otto-progress 10 10 done
    """);
ProgressReport.Build("otto-progress", command);
return ToolCommand.Run("otto-progress", command, args);
