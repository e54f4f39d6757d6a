namespace Otto.Queue;

// What goes with an envelope on its way into a channel, beside its bytes.

/// <summary>What a channel is told about a task that it is to carry.</summary>
/// <param name="Id">The task's id, as in its envelope: a message that is sent again after a lost answer is known by it.</param>
/// <param name="Delay">How long no worker gets it.</param>
/// <param name="Key">Refuses the task while another of this key is pending or running; <see langword="null"/> for none. The envelope has it too.</param>
public readonly record struct SendOptions(TaskId Id, TimeSpan Delay = default, string? Key = null);
