using Otto.Ipc.Platform;

namespace Otto.Ipc.Fifo.Waiting;

/// <summary>One pipe's registration with the wait thread, made when it is first needed. For
/// one thread at a time.</summary>
internal sealed class WaitRegistration(IWaitHandler handler)
{
    private long _tag;
    private int _id = -1;

    /// <summary>Has the handler called when one of these events happens; at once if it has happened already.</summary>
    public void Arm(int id, PollEvents events)
    {
        if (_tag == 0 || _id != id)
        {
            Leave();
            _id = id;
            _tag = WaitThread.Register(id, handler);
        }

        WaitThread.Arm(id, _tag, events);
    }

    /// <summary>Ends it, before the pipe is closed. A call that is under way may still arrive.</summary>
    public void Leave()
    {
        if (_tag != 0) WaitThread.Unregister(_id, _tag);
        _tag = 0;
    }
}
