"""How alike two texts are, by the words that they share: cheap, the same everywhere, and easy to explain."""

import re
from collections.abc import Iterable

SAME = 0.7  # of the words of both; texts that share as many say the same
_SMALL = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be by can do for from has have if in into is it its of on or so than that the their then "
        "there this to use used using was were which will with would",
    )
)


def words(text: str) -> frozenset[str]:
    """The words that tell, in lower case. Numbers count: a tile of 32 is not a tile of 64."""
    return frozenset(re.findall(r"\w+", text.lower())) - _SMALL


def overlap(one: str, other: str) -> float:
    """The share of words in common, of all words of both (Jaccard 1901): 0 to 1; 0 where neither has any."""
    left, right = words(one), words(other)
    return len(left & right) / len(left | right) if left or right else 0.0


def closest(query: str, texts: Iterable[str], limit: int) -> list[str]:
    """The texts that hold most of a query's words, best first; those with none of them are left out."""
    asked = words(query)
    found = [(len(asked & words(text)), text) for text in texts]
    return [text for count, text in sorted(found, key=lambda item: -item[0]) if count][:limit]


def nearest(text: str, others: Iterable[str]) -> float:
    """The overlap with the most similar of others; 0 where there are none."""
    return max((overlap(text, other) for other in others), default=0.0)
