using System.Runtime.Versioning;

// Segments lie in /dev/shm.
[assembly: SupportedOSPlatform("linux")]
