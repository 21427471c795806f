"""The machine with pools, event by event, compiled. Batch order: all ends, changes, all submissions, then one pass.

The *ledger* is undecayed within a window: what was delivered, what each pool used. GPUs that leave a site go as soon as
nobody uses them: jobs that run go on. A job whose owner has no budget for its whole size x limit waits outside the queue,
in the order of arrival of its owner's jobs, until a step or a job that ended early makes room for it.
"""

import numpy as np

from schmelz.twin.compiled import compiled, inlined, part
from schmelz.twin.deficit import delivered, run_pass, start, withdraw
from schmelz.twin.pool_queue import put
from schmelz.twin.pool_running import leave, pull
from schmelz.twin.pool_tables import (
    ALLOWED,
    ALLOWED_THEN,
    CHANGED,
    CLEAR,
    CLEAR_THEN,
    CLOCK,
    CUT,
    DELIVERED,
    DUE,
    ENDS,
    FIRST_HELD,
    FREE,
    GPUS,
    HALF_LIFE,
    IN_USE,
    JOB,
    LAST_HELD,
    LIMIT,
    MARKED,
    MARKS,
    NEXT_HELD,
    NOBODY,
    OF_OWNER,
    OF_SITE,
    OWNER,
    PACED,
    PLACE,
    POOL,
    PROMISED,
    RENEWED,
    RUN,
    SENT,
    SITE,
    SIZE,
    START,
    SUBMIT,
    TIME,
    UNTIL,
    UP,
    USED,
    WAITING,
    WAKE,
    WEIGHT,
    WHOLE,
    WINDOW,
    Steps,
    Told,
    Twin,
)
from schmelz.twin.preempt import take_back


@inlined
def book(twin: Twin, steps: Steps, now: int) -> None:
    """Book the time until `now`; with each window the ledger begins at 0."""
    facts, pools, windows = twin.facts, twin.pools, steps.windows
    while facts[WINDOW] < len(windows) and now >= windows[facts[WINDOW]]:
        facts[CLOCK] = windows[facts[WINDOW]]
        facts[DELIVERED] = 0
        pools[:, USED] = 0
        facts[WINDOW] += 1
    seconds = now - facts[CLOCK]
    facts[CLOCK] = now
    facts[DELIVERED] += delivered(twin.sites) * seconds
    for pool in range(len(pools)):
        pools[pool, USED] += pools[pool, IN_USE] * seconds
    if twin.facts[HALF_LIFE]:
        keep = 0.5 ** (seconds / facts[HALF_LIFE])
        for pool in range(len(pools)):
            fresh = pools[pool, IN_USE] * (1 - keep) * facts[HALF_LIFE] / np.log(2)
            twin.decayed[pool] = twin.decayed[pool] * keep + fresh


@inlined
def finish(twin: Twin, now: int) -> None:
    """All jobs that end now."""
    jobs, traits = twin.jobs, twin.traits
    while twin.facts[DUE] and twin.due[1, ENDS] == now:
        job = pull(twin, 1)
        leave(twin, job)
        twin.sites[traits[job, SITE], FREE] += jobs[job, SIZE]
        twin.pools[traits[job, POOL], IN_USE] -= jobs[job, SIZE]
        if len(twin.owners):
            twin.owners[traits[job, OWNER], PROMISED] -= jobs[job, SIZE] * (jobs[job, LIMIT] - jobs[job, RUN])
            release(twin, int(traits[job, OWNER]))


@inlined
def covered(twin: Twin, job: int) -> bool:
    """Whether the owner's budget covers the whole job; if so, it is promised to it."""
    owner, need = twin.traits[job, OWNER], twin.jobs[job, SIZE] * twin.jobs[job, LIMIT]
    if twin.owners[owner, PROMISED] + need > twin.owners[owner, ALLOWED]:
        return False
    twin.owners[owner, PROMISED] += need
    return True


@inlined
def release(twin: Twin, owner: int) -> None:
    """Let the owner's jobs that wait for budget into the queue, as far as it goes now."""
    owners = twin.owners
    while owners[owner, FIRST_HELD] >= 0 and covered(twin, owners[owner, FIRST_HELD]):
        enqueue(twin, owners[owner, FIRST_HELD])
        owners[owner, FIRST_HELD] = twin.traits[owners[owner, FIRST_HELD], NEXT_HELD]


@inlined
def enqueue(twin: Twin, job: int) -> None:
    """The job waits in its pool's queue."""
    jobs, traits = twin.jobs, twin.traits
    limit = min(jobs[job, LIMIT], NOBODY - 1)
    put(twin.tree, twin.pools, int(traits[job, POOL]), int(traits[job, PLACE]), jobs[job, SIZE], limit)
    twin.facts[WAITING] += 1


@inlined
def submit(twin: Twin, job: int) -> None:
    """A job arrives: it may be marked, and waits for GPUs, or for budget first."""
    facts, traits, owners = twin.facts, twin.traits, twin.owners
    if facts[MARKS]:
        pool = traits[job, POOL]
        with_it = facts[WHOLE] * (twin.pools[pool, IN_USE] + twin.jobs[job, SIZE])
        traits[job, MARKED] = with_it > twin.pools[pool, WEIGHT] * delivered(twin.sites)
    owner = traits[job, OWNER]
    if not len(owners) or (owners[owner, FIRST_HELD] < 0 and covered(twin, job)):
        enqueue(twin, job)
        return
    if owners[owner, FIRST_HELD] < 0:
        owners[owner, FIRST_HELD] = job
    else:
        traits[owners[owner, LAST_HELD], NEXT_HELD] = job
    owners[owner, LAST_HELD] = job


@inlined
def change(twin: Twin, steps: Steps, row: int) -> None:
    """GPUs of a site leave or return."""
    changes = steps.changes
    site = changes[row, OF_SITE]
    twin.sites[site, UP] += changes[row, GPUS]
    twin.sites[site, FREE] += changes[row, GPUS]
    twin.sites[site, CLEAR] = changes[row, CLEAR_THEN]


@inlined
def next_event(twin: Twin, steps: Steps) -> int:
    """When something happens next."""
    facts = twin.facts
    now = facts[WAKE]
    if facts[DUE]:
        now = min(now, twin.due[1, ENDS])
    if facts[SENT] < len(twin.jobs):
        now = min(now, twin.jobs[facts[SENT], SUBMIT])
    if facts[CHANGED] < len(steps.changes):
        now = min(now, steps.changes[facts[CHANGED], TIME])
    if facts[PACED] < len(steps.budgets):
        now = min(now, steps.budgets[facts[PACED], TIME])
    return int(now)


@inlined
def at_steps(twin: Twin, steps: Steps, now: int) -> None:
    """What changes at this known time."""
    facts, budgets = twin.facts, steps.budgets
    while facts[CHANGED] < len(steps.changes) and steps.changes[facts[CHANGED], TIME] == now:
        change(twin, steps, facts[CHANGED])
        facts[CHANGED] += 1
    while facts[PACED] < len(budgets) and budgets[facts[PACED], TIME] == now:
        owner = budgets[facts[PACED], OF_OWNER]
        base = twin.owners[owner, PROMISED] * budgets[facts[PACED], RENEWED]
        twin.owners[owner, ALLOWED] = base + budgets[facts[PACED], ALLOWED_THEN]
        release(twin, owner)
        facts[PACED] += 1


@inlined
def events(twin: Twin, steps: Steps, now: int) -> None:
    """Everything that happens at this time, up to the pass."""
    facts = twin.facts
    book(twin, steps, now)
    finish(twin, now)
    at_steps(twin, steps, now)
    while facts[SENT] < len(twin.jobs) and twin.jobs[facts[SENT], SUBMIT] == now:
        submit(twin, facts[SENT])
        facts[SENT] += 1


@compiled
def simulate(twin: Twin, steps: Steps, told: Told) -> None:
    """Run it until nothing happens any more or UNTIL; nobody is pre-empted. With a schedule told: go through that."""
    while True:
        now = next_event(twin, steps)
        if told.at[0] < len(told.order):
            now = min(now, told.start[told.order[told.at[0]]])
        if now >= twin.facts[UNTIL]:
            return
        events(twin, steps, now)
        if len(told.start):
            follow(twin, told, now)
        else:
            run_pass(twin, now)


@part
def follow(twin: Twin, told: Told, now: int) -> None:
    """Start what starts now by the schedule; then note how many GPUs the rule would fill beside that."""
    at, gpus = told.at, 0
    while at[0] < len(told.order) and told.start[told.order[at[0]]] == now:
        job = told.order[at[0]]
        start(twin, job, told.site[job], now)
        at[0] += 1
    waiting = twin.facts[WAITING]
    run_pass(twin, now)
    slot = 1 if twin.facts[WAITING] < waiting else twin.facts[DUE] + 1
    while slot <= twin.facts[DUE]:
        job = twin.due[slot, JOB]
        if twin.jobs[job, START] == now and told.start[job] != now:
            gpus += twin.jobs[job, SIZE]
            withdraw(twin, job)
            slot = 0
        slot += 1
    if gpus != (told.filled[at[1] - 1, 1] if at[1] else 0):
        told.filled[at[1], 0], told.filled[at[1], 1] = now, gpus
        at[1] += 1


@compiled
def simulate_taking(twin: Twin, steps: Steps, room: int) -> bool:
    """The same with pre-emption; false when `cuts` has less than `room` rows left: then go on."""
    facts = twin.facts
    while len(twin.cuts) - facts[CUT] >= room:
        now = next_event(twin, steps)
        if now >= facts[UNTIL]:
            return True
        events(twin, steps, now)
        run_pass(twin, now)
        facts[WAKE] = take_back(twin, now)
    return False
