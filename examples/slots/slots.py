"""Free and busy time of a day.

    python slots.py busy 09:00-10:00 09:30-11:00        # the union: 09:00-11:00
    python slots.py free 09:00-17:00 12:00-13:00        # what is left of the first: 09:00-12:00 13:00-17:00
    python slots.py longest 09:00-17:00 12:00-13:00     # the longest free slot, the first of equals: 13:00-17:00
    python slots.py total 09:00-10:30 10:00-11:00       # minutes that are busy, each once: 120
    python slots.py meet 30 09:00-12:00 09:00-09:45 10:00-11:30   # the first start of 30 free minutes: none, or 11:30

A slot goes from its start up to, not including, its end; 24:00 is the end of the day; an empty slot is no slot. Without
any result it prints `none`. Where a slot ends before it starts, or has a time that no day has, it prints `error: SLOT`
and exits with 2.
"""

import sys


def parse(text):
    start, _, end = text.partition("-")
    result = []
    for part in (start, end):
        hours, _, minutes = part.partition(":")
        if not (hours.isdigit() and minutes.isdigit()) or int(hours) > 23 or int(minutes) > 60:
            raise ValueError(text)
        result.append(int(hours) * 60 + int(minutes))
    return tuple(result)


def show(slots):
    words = [f"{start // 60}:{start % 60:02d}-{end // 60}:{end % 60:02d}" for start, end in slots]
    return " ".join(words) or "none"


def busy(slots):
    """The union, in order, with what touches joined."""
    merged = []
    for start, end in sorted(slots):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def free(day, slots):
    """What of `day` is in none of the slots."""
    found, at = [], day[0]
    for start, end in busy(slots):
        if start > at:
            found.append((at, start))
        at = end
    if at < day[1]:
        found.append((at, day[1]))
    return found


def longest(day, slots):
    return max(free(day, slots), key=lambda slot: slot[1] - slot[0])


def total(slots):
    return sum(end - start for start, end in slots)


def meet(minutes, day, slots):
    for start, end in free(day, slots):
        if end - start > minutes:
            return start
    return None


def main(words):
    command, *rest = words
    minutes = int(rest.pop(0)) if command == "meet" else 0
    slots = [parse(word) for word in rest]
    if command == "busy":
        print(show(busy(slots)))
    elif command == "free":
        print(show(free(slots[0], slots[1:])))
    elif command == "longest":
        print(show([longest(slots[0], slots[1:])]))
    elif command == "total":
        print(total(slots))
    elif command == "meet":
        start = meet(minutes, slots[0], slots[1:])
        print("none" if start is None else f"{start // 60:02d}:{start % 60:02d}")


if __name__ == "__main__":
    main(sys.argv[1:])
