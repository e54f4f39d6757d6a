[assembly: System.Runtime.Versioning.SupportedOSPlatform("linux")]
[assembly: LevelOfParallelism(5)]
