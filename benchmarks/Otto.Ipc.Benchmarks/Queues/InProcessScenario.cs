using Otto.Ipc.Benchmarks.Measuring;
namespace Otto.Ipc.Benchmarks.Queues;
internal static class InProcessScenario { public static void Throughput(Report report, int bytes, int tasks, int runs) { } }
