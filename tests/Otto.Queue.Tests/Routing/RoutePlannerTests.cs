using System.Globalization;

namespace Otto.Queue.Tests.Routing;

/// <summary>docs/routes.md has every case of the planner as a row; each row is asked here.</summary>
internal sealed class RoutePlannerTests
{
    private static IEnumerable<TestCaseData> Rows()
    {
        string folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "docs", "routes.md")))
            folder = Path.GetDirectoryName(folder) ?? throw new FileNotFoundException("docs/routes.md");
        return File.ReadLines(Path.Combine(folder, "docs", "routes.md"))
            .SkipWhile(static line => line != "<!-- routes: table -->").TakeWhile(static line => line != "<!-- end -->")
            .Skip(3) // The comment, the headings and the line beneath them.
            .Select(static line => line.Trim('|', ' ').Split('|', StringSplitOptions.TrimEntries))
            .Select(static cells => new TestCaseData(cells[0], cells[1], cells[2], cells[3], cells.Length > 4 ? cells[4] : "")
                .SetArgDisplayNames(cells[0], cells[1], cells[2]));
    }

    [TestCaseSource(nameof(Rows))]
    public void The_planner_gives_the_result_of_the_row(string asked, string here, string beyond, string result, string reason)
    {
        RouteState[] routes = beyond == "-" ? [] : [.. beyond.Split(", ").Select(Route)];

        RoutePlan plan = RoutePlanner.Plan(Request(asked), Local(asked, here), routes);

        string got = plan.Action switch
        {
            PlanAction.HandOver => "InProcess",
            PlanAction.Hold => $"hold in {routes[plan.Route].Name}",
            PlanAction.Send => routes[plan.Route].Name.ToString(),
            PlanAction.Wait => "wait",
            PlanAction.RefuseFull => "full",
            PlanAction.RefuseStopped => "stopped",
            PlanAction.RefuseNotDurable => "not durable",
            _ => "no route",
        };
        Assert.That((got, plan.Reason), Is.EqualTo((result, reason)));
    }

    [Test]
    public void The_document_has_rows() => Assert.That(Rows().Count(), Is.GreaterThanOrEqualTo(50));

    [Test]
    public void Every_fixed_reason_has_a_row()
    {
        HashSet<string> reasons = [.. Rows().Select(static row => (string)row.Arguments[4]!)];
        foreach (string reason in new[]
        {
            RouteReason.WorkerHere, RouteReason.OnlyRoute, RouteReason.WorkerAttached, RouteReason.WorkerElsewhere,
            RouteReason.SegmentKeeps, RouteReason.Pinned, RouteReason.Kept, RouteReason.Durable, RouteReason.Delayed,
            RouteReason.DelayedHere, RouteReason.Keyed, RouteReason.KeptForKey, RouteReason.Draining,
        })
            Assert.That(reasons, Does.Contain(reason));
    }

    private static PlanRequest Request(string asked)
    {
        string[] words = asked.Split(", ");
        string? pin = words.FirstOrDefault(static w => w.StartsWith("pinned ", StringComparison.Ordinal));
        string[] known = ["-", "delay", "key", "interval", "Process", "Cluster", "in a handler", "while stopping"];
        Assert.That(words.Where(w => w != pin), Is.SubsetOf(known));
        return new PlanRequest
        {
            Pin = pin is null ? null : new RouteName(pin["pinned ".Length..]),
            Durability = words.Contains("Process") ? Durability.Process : words.Contains("Cluster") ? Durability.Cluster : Durability.None,
            IsDelayed = words.Contains("delay"),
            HasKey = words.Contains("key"),
            Repeats = words.Contains("interval"),
            IsInsideHandler = words.Contains("in a handler"),
        };
    }

    private static LocalState Local(string asked, string here)
    {
        string[] words = here.Split(' ');
        Assert.That(words[0], Is.AnyOf("-", "room", "full", "held", "starting"));
        return new LocalState
        {
            Queue = asked.EndsWith("while stopping", StringComparison.Ordinal) ? QueueState.Draining
                : words[0] == "starting" ? QueueState.Created : QueueState.Running,
            Accepts = words[0] != "-",
            HasRoom = words[0] is "room" or "starting",
            HasRoomForHeld = words[0] is "room" or "held",
            FullMode = words.Length > 1 ? Enum.Parse<QueueFullMode>(words[1]) : QueueFullMode.Overflow,
            Reason = words[0] == "starting" ? RouteReason.OnlyRoute : RouteReason.WorkerHere,
            OverflowReason = RouteReason.Overflowed(4),
        };
    }

    private static RouteState Route(string text)
    {
        string[] words = text.Split(' ');
        bool shared = words[0] == RouteName.SharedMemory.Value;
        return new RouteState
        {
            Name = new RouteName(words[0]),
            Reach = shared ? RouteReach.Machine : RouteReach.Network,
            Durability = shared ? Durability.Process : Durability.Cluster,
            OtherWorkers = int.Parse(words[1], CultureInfo.InvariantCulture),
            IsPassedOver = words is [_, _, "!"],
            CanHold = shared,
            NoWorkerReason = shared ? RouteReason.SegmentKeeps : "no worker is known on this machine: Redis keeps it",
        };
    }
}
