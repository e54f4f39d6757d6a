[assembly: System.Runtime.Versioning.SupportedOSPlatform("linux")]
// Tests mostly wait for programs to start; each has a folder of its own.
[assembly: Parallelizable(ParallelScope.Fixtures)]
[assembly: LevelOfParallelism(4)]
