"""Whether a packed list of words holds what it was made from: `check.py FILE PACKED`.

A packed list is LZMA of a letter and the words: `P`, as they are; `T`, each after the number, from `0` on, of letters that it
shares with the one before it; `A`, all these numbers in a line of their own first.
"""

import lzma
import sys
from pathlib import Path


def words_of(text):
    kind, text = text[0], text[1:]
    if kind == "P":
        return text.split("\n")
    if kind == "A":
        numbers, _, text = text.partition("\n")
        rests = text.split("\n")
    else:
        numbers, rests = zip(*((line[0], line[1:]) for line in text.split("\n")))
    words, before = [], ""
    for number, rest in zip(numbers, rests, strict=True):
        before = before[: ord(number) - 48] + rest
        words.append(before)
    return words


source, packed = map(Path, sys.argv[1:])
if words_of(lzma.decompress(packed.read_bytes(), format=lzma.FORMAT_XZ).decode()) != source.read_text().split():
    sys.exit(f"{packed} does not hold the words of {source}")
