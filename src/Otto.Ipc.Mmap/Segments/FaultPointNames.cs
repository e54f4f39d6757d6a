namespace Otto.Ipc.Mmap.Segments;

// Every fault point there is. A point that is not listed ends the process that reaches it, and one that no plan of the fault lab covers
// fails the lab, so none can be forgotten.

internal static class FaultPointNames
{
    public static readonly IReadOnlyList<string> All =
    [
        "create.initialised", "create.linked", "remove.retired",
        "join.locked", "join.described", "leave.roles", "sweep.done", "sweep.freed",
        "lane.before", "lane.announced",
        "doorbell.announce.waiting", "doorbell.ring.word",
        "stream.open.before", "stream.open.completed", "stream.publish.payload", "stream.publish.frame", "stream.publish.tail",
        "stream.complete.before", "stream.complete.word", "stream.consume.before", "stream.consume.head",
        "queue.take.word", "queue.take.head", "queue.fill.described", "queue.fill.word", "queue.push.cell", "queue.fill.pushed",
        "queue.keep.described", "queue.keep.word", "queue.delay.described", "queue.delay.word", "queue.delay.group",
        "queue.delay.lowered", "queue.promote.scanned", "queue.promote.groups",
        "queue.ending.word", "queue.return-later.described", "queue.give-up.note", "queue.give-up.word", "queue.end.word",
        "queue.end.pushed",
        "queue.cancel.noted", "queue.repeat.forgotten", "queue.repeat.returned",
        "queue.cancel.word", "queue.reap.released", "queue.withdraw.word", "queue.sweep.word", "queue.sweep.taken-over",
        "queue.offer.described", "queue.offer.word", "queue.key.searched", "queue.key.pending", "queue.key.placed", "queue.offer.committed",
        "queue.result.described", "queue.result.word", "queue.pass-over.described", "queue.pass-over.word", "queue.take.aside",
        "queue.kept.looking", "queue.kept.dropped",
        "topic.publish.announce", "topic.publish.oldest", "topic.publish.intent", "topic.publish.payload", "topic.publish.frame",
        "topic.publish.tail", "topic.enter.positions", "topic.enter.place", "topic.read.header", "topic.read.copied", "topic.read.before",
        "topic.read.position", "topic.leave.before", "topic.leave.place", "topic.eject.before", "topic.eject.place",
        "loan.make.taken", "loan.drop.size", "loan.make.file", "loan.borrowed", "loan.sending", "loan.committed", "loan.sent",
        "loan.end.before", "loan.held",
        "loan.let-go.before", "loan.sweep.before",
    ];
}
