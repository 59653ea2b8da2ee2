"""The program's text as a prompt: as it was, with a note on what loopsmith does itself, and the brief."""

import re
import textwrap
from collections.abc import Sequence

from loopsmith.workflow.adopt.program import Block

# What the note says, and what in the program it is about.
TAKEN = (
    (
        "Branches, commits, resets and what is pushed: your change is taken from the folder as it is.",
        r"\bgit\s+(?:add|branch|checkout|commit|pull|push|reset|restore|revert|stash|tag)\b(?:\s+(?:--?[\w-]+|HEAD[~^\d]*))*"
        r"|\b(?:create|advance)\b[^.;,]{0,20}\bbranch\b",
    ),
    (
        "The record of what was tried, and how it ended: what you need of it is below.",
        r"\b(?:results|log|ledger|experiments?|history)\.(?:tsv|csv|jsonl|md)\b|\blog (?:the )?results?\b",
    ),
    (
        "Measuring, and the decision to keep or to discard: a change is kept when it is confirmed to be better. You "
        "may "
        "run things here to see whether they work.",
        r"\b(?:run the (?:experiment|eval\w*|benchmark)|read (?:out )?the results?|keep or discard|keep the commit|"
        r"if [^.;,]{1,40} (?:improved|is equal or worse|got worse))\b",
    ),
    (
        "The loop and its end: you make one change and are done; others start afresh with the next one. Ask nobody.",
        r"\b(?:loop forever|never stop|do not (?:stop|pause)|don't stop|keep going|run indefinitely|indefinitely|"
        r"repeat forever|should i (?:continue|keep going)|go (?:back )?to step 1|"
        r"until (?:the human|you are|manually|it is) (?:interrupt|stop)\w*)\b",
    ),
    (
        "Setting up and the first run of the untouched program: both are done.",
        r"\b(?:agree on a run tag|work with the user|establish (?:the|a|your) baseline|run (?:the )?baseline|"
        r"confirm and go|initiali[sz]e results)\b",
    ),
)
WIDTH = 120
QUOTES = 3  # of each kind in the note


def write_body(text: str, blocks: Sequence[Block], editable: Sequence[str]) -> str:
    """The prompt's template; `text` itself stands in it unchanged once it is rendered."""
    files = " and ".join(f"`{name}`" for name in editable) if 0 < len(editable) < 4 else "the editable files"
    first = f"You work for loopsmith, which runs the program below: make one change to {files} here, and hand it over."
    points = []
    for words, pattern in TAKEN:
        said = _said(blocks, pattern)
        if said:
            points.append(f"{words} The program says: {'; '.join(said)}.")
    if points:
        first += " These are loopsmith's, whatever the program says about them:"
    lines = textwrap.wrap(first, WIDTH, initial_indent="> ", subsequent_indent="> ")
    for point in points:
        lines += textwrap.wrap(point, WIDTH, initial_indent="> - ", subsequent_indent=">   ")
    note = escape("\n".join(lines))
    return f"{note}\n\n{escape(text.strip())}\n\n{{{{ brief }}}}\n"


def escape(text: str) -> str:
    """A template that renders to `text`, whatever marks of Jinja stand in it."""
    return re.sub(r"\{[{%#]", lambda match: f"{{{{ '{match[0]}' }}}}", text)


def _said(blocks: Sequence[Block], pattern: str) -> list[str]:
    """What the program says of it, in its own words."""
    found: dict[str, str] = {}
    for block in blocks:
        for sentence in block.sentences():
            for match in re.finditer(f"(?i){pattern}", sentence.plain):
                words = match[0].strip(" `\"'*([")
                words = words if len(words) <= 60 else words[:59].rstrip() + "…"
                found.setdefault(words.lower(), f'"{words}"')
    return list(found.values())[:QUOTES]
