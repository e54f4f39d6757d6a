using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Loans;

/// <summary>This handle's place among those that lend and hold blocks, taken when it is first needed.</summary>
internal sealed class LenderSeat(Participants participants)
{
    private readonly Lock _gate = new();
    private bool _taken;

    /// <summary>Whether this handle can lend and hold: there are 32 seats for that. Reading needs none.</summary>
    public bool IsTaken
    {
        get
        {
            if (Volatile.Read(ref _taken)) return true;
            lock (_gate)
            {
                if (!_taken && participants.TryJoin(ParticipantRoles.Lends)) Volatile.Write(ref _taken, true);
                return _taken;
            }
        }
    }

    /// <summary>As <see cref="IsTaken"/>, without taking it.</summary>
    public bool WasTaken => Volatile.Read(ref _taken);

    /// <summary>This handle's bit among the holders of a block.</summary>
    public uint Bit => 1u << participants.Me;
}
