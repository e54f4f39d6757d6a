namespace Otto.Queue;

// The life of a lane, in order: it only ever moves down this list.

internal enum QueueState
{
    Created,
    Running,
    Draining,
    Stopped,
}
