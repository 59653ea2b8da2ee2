"""What can be taken out, found in few tests."""

import asyncio
import random

from loopsmith.campaign.taking.minimizing import ddmin, expected_trials


def reduced(pieces, needed):
    """What ddmin leaves of pieces where a part does when it holds every needed set's match, and its tests."""
    asked = []

    async def can_go(rest):
        asked.append(tuple(rest))
        return needed(set(rest))

    return asyncio.run(ddmin(pieces, can_go)), asked


def test_what_is_left_can_do_without_no_single_piece():
    for seed in range(60):
        rng = random.Random(seed)
        count = rng.randrange(1, 14)
        groups = [{rng.randrange(count) for _ in range(rng.randrange(1, 4))} for _ in range(3)]
        # Any of the groups will do: not monotone in a single piece, so that the order of removals matters.
        left, asked = reduced(list(range(count)), lambda rest, groups=groups: any(group <= rest for group in groups))
        assert any(group <= set(left) for group in groups)
        for piece in left if len(left) > 1 else ():
            assert not any(group <= set(left) - {piece} for group in groups)
        assert () not in asked


def test_many_useless_pieces_go_in_few_tests():
    left, asked = reduced(list(range(64)), lambda rest: 37 in rest)
    assert left == [37]
    assert len(asked) <= 16


def test_where_nothing_can_go_the_tests_are_as_many_as_said():
    for count in range(8):
        left, asked = reduced(list(range(count)), lambda rest, count=count: len(rest) == count)
        assert left == list(range(count))
        assert len(asked) == expected_trials(count)
