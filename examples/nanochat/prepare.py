"""Data and tokenizer: splits a text into train, val and hidden, and learns a byte-pair encoding of the first.

    python prepare.py --data FILE [--vocab 512] [--to .]

writes data/train.txt, data/val.txt, hidden/hidden.txt and data/tokenizer.json, and beside a text of more than 8 MB its
tokens (.bin), so that they need not be made in each experiment. What lies here was made so from data/README.md's book.
"""

import argparse
import heapq
import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
WHERE = {"train": "data/train", "val": "data/val", "hidden": "hidden/hidden"}
BLOCK = 1 << 14  # bytes of text that go to one split together; one block in 12 is val, one hidden
LARGEST = 2_000_000  # bytes of val, and of hidden
WORDS = re.compile(r" ?[^\W\d_]+| ?\d{1,2}| ?(?:[^\w\s]|_)+|\n|[^\S\n]+")  # a token never crosses these


class Tokenizer:
    """Byte-pair encoding (Sennrich, Haddow and Birch, 2016): the 256 bytes, then one token for each merge in order."""

    def __init__(self, merges):
        self.merges = {tuple(pair): 256 + rank for rank, pair in enumerate(merges)}
        self.tokens = [bytes([byte]) for byte in range(256)]
        for left, right in merges:
            self.tokens.append(self.tokens[left] + self.tokens[right])
        self.bytes = np.array([len(token) for token in self.tokens])  # of each token
        self._known = {}

    def encode(self, text):
        """Tokens of a string, as an array of uint16."""
        known = self._known
        found = []
        for word in WORDS.findall(text):
            if word not in known:
                known[word] = self._encode_word(word.encode())
            found += known[word]
        return np.array(found, np.uint16)

    def decode(self, tokens):
        return b"".join(self.tokens[token] for token in tokens).decode(errors="replace")

    def _encode_word(self, word):
        parts = list(word)
        while len(parts) > 1:
            rank, place = min((self.merges.get(pair, 1 << 30), place) for place, pair in enumerate(zip(parts, parts[1:])))
            if rank == 1 << 30:
                break
            parts[place : place + 2] = [rank]
        return parts


def learn(lines, vocab):
    """The merges of a byte-pair encoding with `vocab` tokens: always the most frequent pair, of equals the lowest."""
    counts = Counter()
    for line in lines:
        counts.update(WORDS.findall(line))
    words = [list(word.encode()) for word in counts]
    often = list(counts.values())
    pairs, places = Counter(), defaultdict(set)
    for number, word in enumerate(words):
        for pair in zip(word, word[1:]):
            pairs[pair] += often[number]
            places[pair].add(number)
    heap = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(heap)
    merges = []
    while len(merges) < vocab - 256 and heap:
        count, pair = heapq.heappop(heap)
        if -count != pairs[pair] or not count:
            continue  # an old count; the present one is in the heap as well
        new = 256 + len(merges)
        merges.append(pair)
        changed = set()
        for number in places.pop(pair):
            word, times = words[number], often[number]
            for old in zip(word, word[1:]):
                pairs[old] -= times
                changed.add(old)
            merged, place = [], 0
            while place < len(word):
                here = tuple(word[place : place + 2]) == pair
                merged.append(new if here else word[place])
                place += 1 + here
            words[number] = merged
            for fresh in zip(merged, merged[1:]):
                pairs[fresh] += times
                places[fresh].add(number)
                changed.add(fresh)
        for each in changed:
            if pairs[each]:
                heapq.heappush(heap, (-pairs[each], each))
    return merges


def tokenizer(folder=HERE):
    return Tokenizer(json.loads((folder / "data/tokenizer.json").read_text())["merges"])


def tokens(split, folder=HERE):
    """The tokens of train, val or hidden."""
    path = folder / WHERE[split]
    if path.with_suffix(".bin").exists():
        return np.memmap(path.with_suffix(".bin"), np.uint16, "r")
    return tokenizer(folder).encode(path.with_suffix(".txt").read_text())


def split(file, folder):
    """Deal blocks of whole lines to the three splits; gives the bytes of each."""
    sizes = dict.fromkeys(WHERE, 0)
    outputs = {}
    for name, path in WHERE.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        outputs[name] = open(folder / f"{path}.txt", "w")
    block, size, name = 0, 0, "train"
    with open(file, errors="replace") as lines:
        for line in lines:
            if size >= BLOCK:
                block, size = block + 1, 0
                name = {3: "val", 9: "hidden"}.get(block % 12, "train")
                name = "train" if sizes[name] >= LARGEST and name != "train" else name
            outputs[name].write(line)
            size += len(line.encode())
            sizes[name] += len(line.encode())
    for output in outputs.values():
        output.close()
    return sizes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a text in UTF-8")
    parser.add_argument("--vocab", type=int, default=512, help="tokens, at most 65536")
    parser.add_argument("--to", type=Path, default=HERE, help="the folder of the example")
    args = parser.parse_args()
    if not 256 <= args.vocab <= 65536:
        parser.error("--vocab must be from 256 to 65536")
    sizes = split(args.data, args.to)
    if not all(sizes.values()):
        parser.error(f"{args.data} is too short to be split; 200 kB are the least")
    with open(args.to / "data/train.txt") as lines:
        merges = learn(lines, args.vocab)
    (args.to / "data/tokenizer.json").write_text(json.dumps({"merges": merges}) + "\n")
    made = Tokenizer(merges)
    for name, path in WHERE.items():
        text, binary = args.to / f"{path}.txt", args.to / f"{path}.bin"
        binary.unlink(missing_ok=True)
        count = 0
        with open(text) as lines, open(binary, "wb") as output:
            for line in lines:
                found = made.encode(line)
                count += len(found)
                output.write(found.tobytes())
        if sum(sizes.values()) <= 8_000_000:
            binary.unlink()
        print(f"{name}: {sizes[name]:,} bytes, {count:,} tokens")


if __name__ == "__main__":
    main()
