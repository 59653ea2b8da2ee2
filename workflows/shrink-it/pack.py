"""Packs a sorted list of words: `pack.py FILE PACKED`. `check.py` says how it is read again.

Each word can leave out what it shares with the one before it; then LZMA does the rest.
"""

import lzma
import sys
from pathlib import Path

SHARED = False  # leave out what a word shares with the one before it, and say how many letters that are
APART = False  # all these numbers first, then all the letters
LITERAL_CONTEXT_BITS = 0  # lc of LZMA: high bits of the byte before that choose how the next one is coded
LITERAL_POSITION_BITS = 2  # lp: low bits of the position that do; together 4 at most
POSITION_BITS = 2  # pb: the alignment that is expected, as a power of two
NICE_LENGTH = 8  # of a match that is taken without looking further


def shared(one, other):
    """How many letters two words begin with alike."""
    return next((n for n, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))


def coded(words):
    counts = [shared(word, before) if SHARED else 0 for word, before in zip(words, ["", *words])]
    numbers = [chr(48 + count) for count in counts]
    rests = [word[count:] for word, count in zip(words, counts)]
    if APART:
        return "A" + "".join(numbers) + "\n" + "\n".join(rests)
    return "T" + "\n".join(number + rest for number, rest in zip(numbers, rests)) if SHARED else "P" + "\n".join(words)


low = min(max(LITERAL_POSITION_BITS, 0), 4)
settings = {
    "id": lzma.FILTER_LZMA2,
    "lc": min(max(LITERAL_CONTEXT_BITS, 0), 4 - low),
    "lp": low,
    "pb": min(max(POSITION_BITS, 0), 4),
    "nice_len": min(max(NICE_LENGTH, 4), 273),
    "mf": lzma.MF_BT4,
    "mode": lzma.MODE_NORMAL,
}
source, packed = map(Path, sys.argv[1:])
packed.parent.mkdir(parents=True, exist_ok=True)
text = coded(source.read_text().split()).encode()
packed.write_bytes(lzma.compress(text, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=[settings]))
