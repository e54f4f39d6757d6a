using Otto.Ipc.Uds.Buffers;
using Otto.Ipc.Uds.PubSub;

namespace Otto.Ipc.Uds.Server;

/// <summary>What the connections of one server share; used on its thread alone.</summary>
/// <param name="Options">The limits.</param>
/// <param name="Budget">The bytes that may wait in all connections together.</param>
/// <param name="Pool">The memory of answers.</param>
/// <param name="Broker">The store and the subscriptions.</param>
internal sealed record ServerState(UdsServerOptions Options, MemoryBudget Budget, BufferPool Pool, KeyValueBroker Broker);
