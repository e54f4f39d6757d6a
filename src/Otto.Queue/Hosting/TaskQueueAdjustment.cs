namespace Otto.Queue;

// How Otto.Queue.Testing gets between a program's options and the queue that a host makes of them.

internal sealed record TaskQueueAdjustment(Action<TaskQueueOptions> Options, Action<TaskQueue> Made);
