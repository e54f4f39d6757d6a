/* The protocol of a queue's slots with keys, ids and results, for the model checker spin: eng/faults --model.
 *
 * Each statement is one access to shared memory, as in SlotTransitions, SlotIndex, SlotLabels, SlotResults and QueueRecovery, whose names
 * these have. spin tries every order of them, and kills one process, and one that repairs what it left, at every statement. The memory is
 * sequentially consistent: which accesses need a fence is argued in the code, not here.
 *
 * Left out: the index queues, whose cells are here what they mean (a slot is found in any order while its cell is of its word's lap), times,
 * blocks, and what was passed over. All messages have one key and one bucket: nothing conflicts more.
 *
 * Checked: one message of a key is committed at a time; who is refused is refused for a message that was committed; an accepted message is
 * in a slot or was collected, once; its result is its own; in the end no slot is lost.
 */

/* Who takes part: the whole has more states than a machine has memory, so that eng/faults --model runs several parts of it. */
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef SENDS_A
#define SENDS_A 2 /* messages */
#endif
#ifndef WITH_B
#define WITH_B 1
#endif
#ifndef WITH_WORKER
#define WITH_WORKER 1
#endif
#ifndef TRIES
#define TRIES 2 /* looks of the collector */
#endif
#ifndef CANCELS
#define CANCELS 1
#endif
#ifndef GIVES_BACK
#define GIVES_BACK 1
#endif
#ifndef KILLS
#define KILLS 2 /* 0: nobody; 1: one process; 2: and one that repairs what it left */
#endif
#ifndef WITH_IDS
#define WITH_IDS 1
#endif
#ifndef WITH_COLLECTOR
#define WITH_COLLECTOR 1
#endif
#ifndef CELLS
#define CELLS 5
#endif
#define MESSAGES 3

/* Processes: two senders, a worker, one that collects and cancels, two that repair. */
#define A 0
#define B 1
#define WORKER 2
#define COLLECTOR 3
#define REPAIRER 4
#define SECOND 5
#define NOBODY 7

#define Released 0
#define Writing 1
#define Filled 2
#define Leased 3
#define Cancelled 6
#define Ending 7
#define Offered 8
#define Kept 9
#define Withdrawn 10

/* A slot's word. */
#define WORD(state, owner, lap) ((state) | ((owner) << 4) | ((lap) << 7))
#define STATE(w) ((w) & 15)
#define OWNER(w) (((w) >> 4) & 7)
#define LAP(w) ((w) >> 7)
#define IS_TAKEN(w) (STATE(w) == Filled || STATE(w) == Leased || STATE(w) == Ending || STATE(w) == Offered)
#define IS_COMMITTED(w) (STATE(w) == Filled || STATE(w) == Leased || STATE(w) == Ending)

/* A cell of the index. Tag 0 is the key; tag 1 + m the id of message m. */
#define CELL(tag, slot, u) (1 | ((slot) << 1) | ((tag) << 3) | ((u) << 6))
#define SLOT_OF(c) (((c) >> 1) & 3)
#define TAG_OF(c) (((c) >> 3) & 7)
#define USE_OF(c) ((c) >> 6)

/* The bucket's control word. */
#define PENDING(slot, version) (1 | ((slot) << 1) | ((version) << 3))
#define IS_PENDING(c) ((c) & 1)
#define PENDING_SLOT(c) (((c) >> 1) & 3)
#define NEXT(c) ((((c) >> 3) + 1) << 3)

short word[SLOTS];
byte use[SLOTS], id[SLOTS], result[SLOTS];
byte freeLap[SLOTS], readyLap[SLOTS]; /* the lap of the cell that was pushed last */
short control, cell[CELLS];
bool overflowed;

bool accepted[MESSAGES], committed[MESSAGES];
byte kept[MESSAGES], taken[MESSAGES];
byte killed = NOBODY, killedToo = NOBODY;
bool ended[6];

inline commitCheck(m)
{
    committed[m] = true;
    live = 0;
    for (at : 0 .. SLOTS - 1) { if :: IS_COMMITTED(word[at]) -> live++ :: else fi }
    assert(live <= 1);
    live = 0;
    at = 0;
}

/* One exact compare-and-swap of a slot's word. */
inline swap(slot, from, to)
{
    atomic {
        swapped = (word[slot] == from);
        if
        :: swapped -> word[slot] = to; if :: STATE(to) == Filled -> commitCheck(id[slot]) :: else fi
        :: else
        fi
    }
}

inline pushReady(slot, to)
{
#ifndef PLANT_FORGETS_CELLS
    readyLap[slot] = LAP(to);
#else
    if :: me == WORKER -> skip :: else -> readyLap[slot] = LAP(to) fi;
#endif
}

/* Below, an atomic sequence has one access to shared memory, with what the process then does by itself. */

inline tryPlace(c)
{
    /* Which empty cell it takes is decided by its own exchange alone, so that the look and the exchange are one step. */
    atomic {
        placed = false;
        for (at : 0 .. CELLS - 1) { if :: !placed && cell[at] == 0 -> cell[at] = c; placed = true :: else fi }
        at = 0;
        n = 0
    }
    do
    :: atomic { !placed && n < CELLS -> seen = cell[n] }
        atomic { stale = (use[SLOT_OF(seen)] != USE_OF(seen)) }
        atomic { stale = stale || STATE(word[SLOT_OF(seen)]) == Released }
        atomic { if :: stale && cell[n] == seen -> cell[n] = c; placed = true :: else fi; seen = 0; stale = false; n++ }
    :: atomic { placed || n == CELLS -> n = 0; break }
    od
}

inline removeCell(c)
{
    atomic {
        for (at : 0 .. CELLS - 1) { if :: cell[at] == c -> cell[at] = 0 :: else fi }
        at = 0;
    }
}

inline commitOffered(slot, offered)
{
    swap(slot, offered, WORD(Filled, me, LAP(offered) + 1));
    if :: swapped -> pushReady(slot, WORD(Filled, me, LAP(offered) + 1)) :: else fi
}

/* SlotIndex.Finish: by the one who put the slot in, or by anyone who meets it. */
inline finish(was)
{
    atomic { pendingSlot = PENDING_SLOT(was); pendingCell = CELL(0, pendingSlot, use[pendingSlot]) }
    pendingWord = word[pendingSlot];
    if
    :: atomic { control != was -> skip }
    :: atomic { control == was -> skip }
        atomic {
            placed = false;
            for (at : 0 .. CELLS - 1) { if :: cell[at] == pendingCell -> placed = true :: else fi }
            at = 0;
        }
        if
        :: placed -> skip
        :: else ->
            tryPlace(pendingCell);
            if
            :: placed -> skip
            :: else ->
                overflowed = true;
#ifndef PLANT_UNPLACED
                if :: STATE(pendingWord) == Offered -> commitOffered(pendingSlot, pendingWord) :: else fi
#endif
            fi
        fi;
        atomic { if :: control == was -> control = NEXT(was) :: else fi }
    fi;
    atomic { pendingSlot = 0; pendingCell = 0; pendingWord = 0; placed = false; swapped = false }
}

/* SlotLabels.HasKey: whether the message in a slot has the key; one that is offered is committed first. */
inline hasKey(candidate)
{
    do
    :: atomic { candidate == slot -> break }
    :: atomic { candidate != slot -> w = word[candidate]; if :: !IS_TAKEN(w) -> break :: else fi }
        atomic {
            if
            :: word[candidate] != w -> w = 0
            :: word[candidate] == w && STATE(w) != Offered -> found = true; break
            :: word[candidate] == w && STATE(w) == Offered ->
#ifdef PLANT_REFUSED_FOR_OFFERED
                found = true; break
#else
                skip
#endif
            fi
        }
        if
        :: w == 0 -> skip
        :: else -> commitOffered(candidate, w); if :: swapped -> found = true; break :: else fi
        fi
    od;
    atomic { w = 0; swapped = false }
}

/* SlotIndex.Find of the key, for a sender. */
inline findKey()
{
    atomic { found = false; k = 0 }
    do
    :: atomic { !found && k < CELLS -> other = cell[k]; if :: TAG_OF(other) != 0 -> other = 0 :: else fi }
        if
        :: other == 0 -> skip
        :: else ->
            atomic { if :: use[SLOT_OF(other)] != USE_OF(other) -> other = 0 :: else fi }
            if :: other == 0 -> skip :: else -> hasKey(SLOT_OF(other)) fi
        fi;
        atomic { other = 0; k++ }
    :: atomic { found || k == CELLS -> k = 0; break }
    od;
    do
    :: atomic { !found && overflowed && k < SLOTS -> stale = (STATE(word[k]) == Offered) }
        if :: stale -> skip :: else -> hasKey(k) fi;
        atomic { stale = false; k++ }
    :: atomic { found || !overflowed || k == SLOTS -> k = 0; break }
    od
}

inline release(slot, from)
{
    swap(slot, from, WORD(Released, me, LAP(from) + 1));
    if
    :: swapped ->
        if :: WITH_IDS -> removeCell(CELL(1 + id[slot], slot, use[slot])) :: else fi;
        removeCell(CELL(0, slot, use[slot]));
        freeLap[slot] = LAP(from) + 1
    :: else
    fi
}

inline send(m)
{
    /* TryClaim */
    atomic {
        slot = NOBODY;
        for (at : 0 .. SLOTS - 1) {
            if :: slot == NOBODY && STATE(word[at]) == Released && freeLap[at] == LAP(word[at]) -> slot = at :: else fi
        }
        at = 0;
        if :: slot != NOBODY -> mine = WORD(Writing, me, LAP(word[slot])); word[slot] = mine :: else fi
    }
    if
    :: slot == NOBODY -> skip /* full */
    :: else ->
        id[slot] = m;
        use[slot] = LAP(mine);
        if
        :: WITH_IDS ->
            tryPlace(CELL(1 + m, slot, LAP(mine)));
            if :: placed -> placed = false :: else -> overflowed = true fi
        :: else
        fi;
        atomic { mine = WORD(Offered, me, LAP(mine)); word[slot] = mine }
        /* AddUnique */
        do
        :: was = control;
            if
            :: IS_PENDING(was) -> finish(was)
            :: else ->
                findKey();
                if
                :: found -> break
                :: else ->
#ifndef PLANT_KEY_WITHOUT_CHECK
                    atomic { swapped = (control == was); if :: swapped -> control = PENDING(slot, (NEXT(was) >> 3)) :: else fi }
#else
                    atomic { swapped = true; control = PENDING(slot, (NEXT(was) >> 3)) }
#endif
                    if
                    :: swapped -> was = PENDING(slot, (NEXT(was) >> 3)); finish(was); break
                    :: else
                    fi
                fi
            fi
        od;
        atomic { was = 0; swapped = false }
        if
        :: found ->
            /* Refused: there must be a message of the key that exists, or existed while this one was sent. */
            atomic {
                live = 0;
                for (at : 0 .. MESSAGES - 1) { if :: at != m && committed[at] -> live++ :: else fi }
                assert(live > 0);
                live = 0; at = 0;
            }
            release(slot, mine)
        :: else ->
            commitOffered(slot, mine);
            accepted[m] = true
        fi
    fi;
    atomic { slot = 0; mine = 0; found = false; swapped = false }
}

/* A process that is killed does nothing more. */
#define LOCALS short w, seen, other, mine, was, pendingCell, pendingWord; \
    byte slot, at, n, k, live, pendingSlot; bool swapped, found, placed, stale

proctype Sender(byte me)
{
    LOCALS;
    {
        if
        :: me == A -> send(0); if :: SENDS_A > 1 -> send(2) :: else fi
        :: else -> send(1)
        fi;
        ended[me] = true
    } unless { killed == me }
}

#define IS_READY(s) (STATE(word[s]) == Filled && readyLap[s] == LAP(word[s]))
#define IS_REAPABLE(s) (STATE(word[s]) == Cancelled && readyLap[s] == LAP(word[s]))
#if SLOTS == 1
#define HAS_WORK (IS_READY(0) || IS_REAPABLE(0))
#elif SLOTS == 2
#define HAS_WORK (IS_READY(0) || IS_READY(1) || IS_REAPABLE(0) || IS_REAPABLE(1))
#else
#define HAS_WORK (IS_READY(0) || IS_READY(1) || IS_READY(2) || IS_REAPABLE(0) || IS_REAPABLE(1) || IS_REAPABLE(2))
#endif
#define SENDERS_ENDED ((ended[A] || killed == A) && (ended[B] || killed == B))
#define REPAIRED (killed == NOBODY || (KILLS == 2 && ended[SECOND]) || (KILLS == 1 && ended[REPAIRER]))

/* SlotTransitions.TryWithdraw of a cancelled message whose result is waited for. */
inline withdraw(s)
{
    seen = CELL(0, s, use[s]);
    swap(s, w, WORD(Withdrawn, NOBODY, LAP(w)));
    if :: swapped -> removeCell(seen) :: else fi
}

proctype Worker(byte me)
{
    LOCALS;
    bool gaveBack = !GIVES_BACK;
    {
        do
        :: atomic {
                HAS_WORK ->
                slot = NOBODY;
                for (at : 0 .. SLOTS - 1) {
                    if :: slot == NOBODY && (IS_READY(at) || IS_REAPABLE(at)) -> slot = at; n = readyLap[at] :: else fi
                }
                at = 0
            }
            w = word[slot];
            if
            :: STATE(w) == Cancelled && LAP(w) == n -> withdraw(slot)
            :: STATE(w) == Filled && LAP(w) == n ->
                mine = WORD(Leased, me, LAP(w));
                swap(slot, w, mine);
                if
                :: atomic { !swapped -> skip }
                :: atomic { swapped && !gaveBack -> gaveBack = true }
                    swap(slot, mine, WORD(Filled, me, LAP(mine) + 1));
                    if :: swapped -> pushReady(slot, WORD(Filled, me, LAP(mine) + 1)) :: else fi
                :: atomic { swapped && gaveBack -> swapped = false }
                    swap(slot, mine, WORD(Ending, me, LAP(mine)));
                    if
                    :: swapped ->
#ifndef PLANT_RESULT_LAST
                        result[slot] = 1 + id[slot];
#endif
                        seen = CELL(0, slot, use[slot]);
                        atomic { word[slot] = WORD(Kept, NOBODY, LAP(mine)); kept[id[slot]]++; assert(kept[id[slot]] == 1) }
#ifdef PLANT_RESULT_LAST
                        result[slot] = 1 + id[slot];
#endif
                        removeCell(seen)
                    :: else
                    fi
                fi
            :: else
            fi;
            atomic { slot = 0; mine = 0; w = 0; seen = 0; n = 0; swapped = false }
        :: atomic { !HAS_WORK && SENDERS_ENDED && REPAIRED -> break }
        od;
        ended[me] = true
    } unless { killed == me }
}

/* SlotLabels.Find of an id. */
inline findId(m)
{
    atomic { slot = NOBODY; k = 0 }
    do
    :: atomic { slot == NOBODY && k < CELLS -> other = cell[k]; if :: TAG_OF(other) != 1 + m -> other = 0 :: else fi }
        if
        :: other == 0 -> skip
        :: else ->
            atomic { if :: use[SLOT_OF(other)] != USE_OF(other) -> other = 0 :: else fi }
            if
            :: other == 0 -> skip
            :: else ->
                w = word[SLOT_OF(other)];
                atomic { if :: id[SLOT_OF(other)] != m -> w = 0 :: else fi }
                atomic {
                    if :: STATE(w) != Released && STATE(w) != Writing && word[SLOT_OF(other)] == w -> slot = SLOT_OF(other) :: else -> w = 0 fi
                }
            fi
        fi;
        atomic { other = 0; k++ }
    :: atomic { slot != NOBODY || k == CELLS -> k = 0; break }
    od
}

proctype Collector(byte me)
{
    LOCALS;
    byte m, tries, copy;
    bool cancelled = !CANCELS;
    {
        do
        :: atomic { tries < TRIES -> tries++; if :: m = 0 :: WITH_B -> m = 1 :: SENDS_A > 1 -> m = 2 fi }
            findId(m);
            if
            :: atomic { slot != NOBODY && STATE(w) == Filled && !cancelled -> cancelled = true }
                swap(slot, w, WORD(Cancelled, OWNER(w), LAP(w)));
                if :: swapped && IS_REAPABLE(slot) -> w = word[slot]; if :: STATE(w) == Cancelled -> withdraw(slot) :: else fi :: else fi
            :: atomic { slot != NOBODY && (STATE(w) == Kept || STATE(w) == Withdrawn) -> copy = result[slot] }
                seen = use[slot];
#ifndef PLANT_COLLECT_TWICE
                swap(slot, w, WORD(Released, me, LAP(w) + 1));
#else
                atomic { swapped = true; word[slot] = WORD(Released, me, LAP(w) + 1) }
#endif
                if
                :: swapped ->
                    atomic {
                        if :: STATE(w) == Kept -> assert(copy == 1 + m) :: else fi;
                        taken[m]++;
                        assert(taken[m] == 1)
                    }
                    removeCell(CELL(1 + m, slot, seen));
                    removeCell(CELL(0, slot, seen));
                    freeLap[slot] = LAP(w) + 1
                :: else
                fi
            :: else
            fi;
            atomic { slot = 0; w = 0; copy = 0; seen = 0; swapped = false; m = 0 }
        :: atomic { tries == TRIES -> break }
        od;
        ended[me] = true
    } unless { killed == me }
}

/* QueueRecovery.Run */
inline repair(dead)
{
    atomic { for (at : 0 .. SLOTS - 1) { freeSeen[at] = freeLap[at] } at = 0; }
    atomic { for (at : 0 .. SLOTS - 1) { readySeen[at] = readyLap[at] } at = 0; }
    slot = 0;
    do
    :: atomic { slot < SLOTS -> w = word[slot]; if :: OWNER(w) != dead || STATE(w) == Kept || STATE(w) == Withdrawn -> w = -1 :: else fi }
        if
        :: w == -1 -> skip
        :: else ->
            if
            :: STATE(w) == Offered ->
                was = control;
                if :: IS_PENDING(was) -> finish(was) :: else fi;
                was = 0;
                atomic {
                    next = Released;
#ifndef PLANT_DROPS_OFFERED
                    for (at : 0 .. CELLS - 1) { if :: cell[at] == CELL(0, slot, use[slot]) -> next = Filled :: else fi }
#endif
                    at = 0
                }
            :: else ->
                atomic {
                    if
                    :: STATE(w) == Writing -> next = Released
                    :: STATE(w) == Leased || STATE(w) == Ending -> next = Filled
                    :: STATE(w) == Filled && readySeen[slot] != LAP(w) -> next = Filled
                    :: STATE(w) == Cancelled && readySeen[slot] != LAP(w) -> next = Released
                    :: STATE(w) == Released && freeSeen[slot] != LAP(w) -> next = Released
                    :: else -> next = NOBODY
                    fi
                }
            fi;
            if
            :: next == Filled ->
                swap(slot, w, WORD(Filled, me, LAP(w) + 1));
                if :: swapped -> pushReady(slot, WORD(Filled, me, LAP(w) + 1)) :: else fi
            :: next == Released ->
                swap(slot, w, WORD(Released, me, LAP(w) + 1));
                if :: swapped -> freeLap[slot] = LAP(w) + 1 :: else fi
            :: else
            fi
        fi;
        /* Once more where the message was cancelled between the look and the exchange: that leaves the dead one's name. */
        atomic {
            if
#ifndef PLANT_LOOKS_ONCE
            :: w != -1 && next != NOBODY && !swapped && !again -> again = true
#endif
            :: else -> again = false; slot++
            fi;
            w = 0; next = 0; swapped = false
        }
    :: atomic { slot == SLOTS -> slot = 0; break }
    od
}

proctype Repairer(byte me)
{
    LOCALS;
    bool again;
    byte next, freeSeen[SLOTS], readySeen[SLOTS];
end_idle:
    {
        killed != NOBODY && (me == REPAIRER || ended[REPAIRER] || killedToo == REPAIRER);
        repair(killed);
        if :: me == SECOND -> repair(killedToo) :: else fi;
        ended[me] = true
    } unless { killedToo == me }
}

/* Kills one process at any moment, or none; and one that repairs after it, or none. */
proctype Killer()
{
    if
    :: !ended[A] -> killed = A
    :: !ended[B] -> killed = B
    :: !ended[WORKER] -> killed = WORKER
    :: !ended[COLLECTOR] -> killed = COLLECTOR
    :: skip
    fi;
    if
    :: KILLS > 1 && killed != NOBODY && !ended[REPAIRER] -> killedToo = REPAIRER
    :: skip
    fi
}

proctype Checker()
{
    byte s, m, where;
    (SENDERS_ENDED && (ended[WORKER] || killed == WORKER) && (ended[COLLECTOR] || killed == COLLECTOR) && REPAIRED);
    atomic {
        for (s : 0 .. SLOTS - 1) {
            assert(STATE(word[s]) == Kept || STATE(word[s]) == Withdrawn
                || (STATE(word[s]) == Released && freeLap[s] == LAP(word[s]))
                || ((STATE(word[s]) == Filled || STATE(word[s]) == Cancelled) && readyLap[s] == LAP(word[s])));
        }
        for (m : 0 .. MESSAGES - 1) {
            where = taken[m];
            for (s : 0 .. SLOTS - 1) { if :: STATE(word[s]) != Released && id[s] == m -> where++ :: else fi }
            assert(where <= 1);
            /* A cancelled message whose cell was owed by the dead is gone, as its sender asked. */
            assert(!accepted[m] || where == 1 || killed != NOBODY);
        }
    }
}

init
{
    atomic {
        run Sender(A);
        if :: WITH_B -> run Sender(B) :: else -> ended[B] = true fi;
        if :: WITH_WORKER -> run Worker(WORKER) :: else -> ended[WORKER] = true fi;
        if :: WITH_COLLECTOR -> run Collector(COLLECTOR) :: else -> ended[COLLECTOR] = true fi;
        if :: KILLS > 0 -> run Repairer(REPAIRER); run Killer() :: else fi;
        if :: KILLS > 1 -> run Repairer(SECOND) :: else fi;
        run Checker()
    }
}
