using System.Reflection;

namespace Otto.Repository.Tests;

// What every public signature of the libraries has in common.

public sealed class PublicApiTests
{
    private const BindingFlags Declared =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    private static readonly string[] Libraries =
    [
        "Otto.Ipc", "Otto.Ipc.Mmap", "Otto.Ipc.Uds", "Otto.Ipc.Fifo", "Otto.Ipc.Files", "Otto.Ipc.Hosting",
        "Otto.Queue", "Otto.Queue.Redis", "Otto.Queue.Testing",
    ];

    // Names that a program with a using of a library has of its own, or another library's.
    private static readonly string[] Colliding =
        ["Level", "Ease", "Support", "Persistence", "SpeedClass", "Utils", "Helper", "Result", "Options"];

    [TestCaseSource(nameof(Libraries))]
    public void A_cancellation_token_is_the_last_parameter_and_has_the_usual_name(string library) =>
        Assert.That(PublicMethods(library).Where(HasMisnamedToken).Select(static method => $"{method.DeclaringType}.{method.Name}"),
            Is.Empty);

    [Test]
    public void A_misnamed_token_is_found([Values(nameof(EarlyToken), nameof(MisnamedToken), nameof(GoodToken))] string planted) =>
        Assert.That(
            HasMisnamedToken(typeof(PublicApiTests).GetMethod(planted, BindingFlags.NonPublic | BindingFlags.Static)!),
            Is.EqualTo(planted != nameof(GoodToken)));

    [Test]
    public void Protected_methods_and_extensions_are_checked_too() => Assert.That(
        PublicMethods("Otto.Ipc").Select(static method => method.Name),
        Does.Contain("ReadAllAsync").And.Contain("CommitSlot").And.Contain("LeaseAllAsync").And.Contain("SubscribeAsync"));

    [TestCaseSource(nameof(Libraries))]
    public void No_public_type_has_a_name_that_programs_use_themselves(string library) =>
        Assert.That(PublicTypes(library).Select(static type => type.Name), Has.None.Matches<string>(Colliding.Contains));

    [Test]
    public void The_types_of_implementers_are_in_a_namespace_of_their_own() =>
        Assert.That(
            PublicTypes("Otto.Ipc").Where(static type => type.Namespace == "Otto.Ipc.Transports").Select(static type => type.Name),
            Is.EquivalentTo(new[] { "SlotToken", "IWriteSlotOwner", "IReadLeaseOwner", "IWorkLeaseOwner", "ILoanOwner",
                "PayloadRetention", "WorkHandling", "DeliveryHistory" }));

    private static bool HasMisnamedToken(MethodBase method)
    {
        ParameterInfo[] parameters = method.GetParameters();
        return Array.Exists(
            parameters,
            p => p.ParameterType == typeof(CancellationToken) && (p.Name != "cancellationToken" || p.Position != parameters.Length - 1));
    }

#pragma warning disable CA1068 // Planted: the check must find it.
    private static void EarlyToken(CancellationToken cancellationToken, int count) => _ = (cancellationToken, count);
#pragma warning restore CA1068

    private static void MisnamedToken(int count, CancellationToken stop) => _ = (stop, count);

    private static void GoodToken(int count, CancellationToken cancellationToken) => _ = (cancellationToken, count);

    private static Type[] PublicTypes(string library) => Assembly.Load(library).GetExportedTypes();

    private static IEnumerable<MethodBase> PublicMethods(string library) =>
        from type in PublicTypes(library)
        from method in type.GetMembers(Declared).OfType<MethodBase>()
        where method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly
        where !typeof(Delegate).IsAssignableFrom(type) || method.Name == "Invoke"
        select method;
}
