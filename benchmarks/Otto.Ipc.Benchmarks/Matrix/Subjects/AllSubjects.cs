namespace Otto.Ipc.Benchmarks.Matrix.Subjects;

// Who takes part. A new transport is a class of its own and a line here.

internal static class AllSubjects
{
    /// <summary>The columns of the matrix, in their order, and then the peers.</summary>
    public static IReadOnlyList<Subject> List { get; } =
    [
        new FilesSubject(),
        new MmapSubject(),
        new UdsSubject(),
        new FifoSubject(),
        new ChannelSubject(),
        new RedisSubject(batched: true),
        new BareSocketSubject(),
        new PipeSubject(),
        new TcpSubject(),
        new RedisSubject(batched: false),
#if WITH_CLOUDTOID
        new CloudtoidSubject(),
#endif
    ];

    public static Subject Find(string name) => List.FirstOrDefault(s => s.Name == name) ?? throw new ArgumentException(NoSuch(name));

    /// <summary>What is said of a name that is nobody's.</summary>
    public static string NoSuch(string name) => $"there is no subject '{name}'; there are {string.Join(", ", List.Select(s => s.Name))}";
}
