"""The running jobs: at each site by planned end, for the reservation; all of them by real end, for what happens next.

Tables with a row for each GPU, because a running job has at least one. Compiled.
"""

from schmelz.twin.compiled import inlined, part
from schmelz.twin.pool_tables import COUNT, DUE, ENDS, FREE, HELD, JOB, LIMIT, RUN, SITE, SIZE, START, Twin


@inlined
def place_of(twin: Twin, site: int, planned: int) -> int:
    """The number of running jobs of the site with a later planned end: the latest stands first, for most jobs are short."""
    low, high = 0, twin.sites[site, COUNT]
    while low < high:
        middle = (low + high) >> 1
        if twin.running[site, middle, ENDS] > planned:
            low = middle + 1
        else:
            high = middle
    return low


@inlined
def begin(twin: Twin, job: int, site: int) -> None:
    """A job with a start and a site runs."""
    planned = twin.jobs[job, START] + twin.jobs[job, LIMIT]
    at, count, here = place_of(twin, site, planned), twin.sites[site, COUNT], twin.running[site]
    for slot in range(count, at, -1):
        here[slot, ENDS], here[slot, JOB], here[slot, HELD] = (
            here[slot - 1, ENDS],
            here[slot - 1, JOB],
            here[slot - 1, HELD],
        )
    here[at, ENDS], here[at, JOB], here[at, HELD] = planned, job, twin.jobs[job, SIZE]
    twin.sites[site, COUNT] = count + 1
    twin.facts[DUE] += 1
    rise(twin, twin.facts[DUE], job, twin.jobs[job, START] + twin.jobs[job, RUN])


@inlined
def leave(twin: Twin, job: int) -> None:
    """The job does not run at its site any more; its real end is taken off the heap apart."""
    site = int(twin.traits[job, SITE])
    here, at = twin.running[site], place_of(twin, site, twin.jobs[job, START] + twin.jobs[job, LIMIT])
    while here[at, JOB] != job:
        at += 1
    twin.sites[site, COUNT] -= 1
    for slot in range(at, twin.sites[site, COUNT]):
        here[slot, ENDS], here[slot, JOB], here[slot, HELD] = (
            here[slot + 1, ENDS],
            here[slot + 1, JOB],
            here[slot + 1, HELD],
        )


@inlined
def rise(twin: Twin, at: int, job: int, ends: int) -> None:
    """Put a job with its end at a place of the heap or above it; the top is at 1."""
    due = twin.due
    while at > 1 and due[at >> 1, ENDS] > ends:
        due[at, ENDS], due[at, JOB] = due[at >> 1, ENDS], due[at >> 1, JOB]
        at >>= 1
    due[at, ENDS], due[at, JOB] = ends, job


@inlined
def pull(twin: Twin, at: int) -> int:
    """Take the job at this place off the heap."""
    due = twin.due
    last = twin.facts[DUE]
    gone, ends, job = due[at, JOB], due[last, ENDS], due[last, JOB]
    twin.facts[DUE] = last - 1
    if at == last:
        return int(gone)
    while 2 * at < last:
        child = 2 * at
        if child + 1 < last and due[child + 1, ENDS] < due[child, ENDS]:
            child += 1
        if due[child, ENDS] >= ends:
            break
        due[at, ENDS], due[at, JOB] = due[child, ENDS], due[child, JOB]
        at = child
    rise(twin, at, job, ends)
    return int(gone)


@part
def forget(twin: Twin, job: int) -> None:
    """Take a job off the heap that does not come to its end."""
    at = 1
    while twin.due[at, JOB] != job:
        at += 1
    pull(twin, at)


@inlined
def earliest(twin: Twin, site: int, size: int) -> tuple[int, int]:
    """When so many GPUs are free at the site if every job takes its whole time, and what is over then; -1 for never."""
    at, room, here = twin.sites[site, COUNT] - 1, twin.sites[site, FREE], twin.running[site]
    while at >= 0:
        end = here[at, ENDS]
        while at >= 0 and here[at, ENDS] == end:
            room += here[at, HELD]
            at -= 1
        if room >= size:
            return end, room - size
    return -1, 0
