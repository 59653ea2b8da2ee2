"""The running medians of a stream of numbers: `medians.py SEED COUNT` prints their sum, and the last one.

The numbers so far are kept in order, in a list of short sorted lists, so that inserting one moves few others.
"""

import sys
from bisect import insort

LOAD = 16  # numbers in a list, at most


def stream(seed, count):
    """Numbers of a linear congruential generator (Knuth's MMIX)."""
    for _ in range(count):
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        yield seed >> 44


def insert(lists, number):
    for index, part in enumerate(lists):
        if number <= part[-1]:
            break
    insort(part, number)
    if len(part) > max(LOAD, 2):
        half = len(part) // 2
        lists[index : index + 1] = [part[:half], part[half:]]


def at(lists, index):
    """The number with `index` others before it."""
    for part in lists:
        if index < len(part):
            return part[index]
        index -= len(part)


def medians(numbers):
    lists = []
    for count, number in enumerate(numbers):
        if lists:
            insert(lists, number)
        else:
            lists.append([number])
        yield at(lists, count // 2)


if __name__ == "__main__":
    found = list(medians(stream(int(sys.argv[1]), int(sys.argv[2]))))
    print(f"sum {sum(found)}, last {found[-1]}")
