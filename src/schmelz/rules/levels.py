"""Level by level: what of a height over time lasted for longer than a cycle.

Every level below a height counts for as long as the height stays at or above it, less the first cycle; so 4 GPUs for 100
seconds, of which 2 stay for 50 more, are 2 x (150 - cycle) + 2 x (100 - cycle). Plain integers in plain loops, so that it
can be compiled (`fill_kernel`); each step is put on the stack once and taken off once.
"""

from collections.abc import Sequence


def beyond(pieces: Sequence[int], seconds: Sequence[int], heights: Sequence[int], cycle: int) -> int:
    """The sum over all levels. Steps of another piece do not go on where those of the one before end."""
    count = len(heights)
    begins, stack = [0] * (count + 1), [0] * (count + 1)
    depth = now = total = 0
    for number in range(count + 1):
        ends = number == count
        fresh = ends or (number > 0 and pieces[number] != pieces[number - 1])
        height = 0 if ends else heights[number]
        begin, floor = now, 0 if fresh else height
        while depth and stack[depth - 1] > floor:
            depth -= 1
            under = max(floor, stack[depth - 1]) if depth else floor
            total += (stack[depth] - under) * max(0, now - begins[depth] - cycle)
            begin = now if fresh else begins[depth]
        if height and (not depth or stack[depth - 1] < height):
            begins[depth], stack[depth] = begin, height
            depth += 1
        now += 0 if ends else seconds[number]
    return total
