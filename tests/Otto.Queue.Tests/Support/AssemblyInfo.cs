using System.Runtime.Versioning;

// Segments lie in /dev/shm.
[assembly: SupportedOSPlatform("linux")]

// Of the fixtures that say so: those whose tests mostly wait, for delays or for other processes.
[assembly: LevelOfParallelism(4)]
