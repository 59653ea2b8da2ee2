"""The keys, as the footer and the help say them."""

from rich.text import Text

MAIN = (
    ("enter", "open"),
    ("/", "search"),
    ("f", "filter"),
    ("o", "order"),
    ("s", "steer"),
    ("p", "pause"),
    ("r", "resume"),
    ("x", "stop"),
    ("a", "approve"),
    ("d", "reject"),
)  # in the order in which they are dropped last; ? and q always stay
ALWAYS = (("?", "help"), ("q", "quit"))
GROUPS = (
    (
        "look",
        (
            ("1 2 3 4", "what goes on, candidates, events, what persons asked"),
            ("tab", "the next pane"),
            ("arrows, j k, g G, space", "move"),
            ("enter", "open the candidate under the cursor; esc leaves it"),
            ("n p", "the next candidate, the one before; 1 2 3 4 its pages"),
            ("z", "one pane on the whole screen, and back"),
        ),
    ),
    (
        "find",
        (
            ("/", "search candidates, or events, by words"),
            ("f", "only candidates of one kind"),
            ("o", "the order of candidates; the same again turns it round"),
            ("esc", "all of them again"),
        ),
    ),
    (
        "say",
        (
            ("s", "steer: a hint for the next workers"),
            ("p r", "pause the campaign, let it go on"),
            ("x", "stop it; `loopsmith run` goes on"),
            ("a d", "approve or reject a candidate in quarantine"),
        ),
    ),
    ("q", (("", "closes the view; the campaign goes on"),)),
)


def help_lines() -> list[Text]:
    lines = []
    for title, rows in GROUPS:
        for index, (key, words) in enumerate(rows):
            lines.append(Text.assemble((f"{title if index == 0 else '':<6}", "dim"), (f"{key:<25}", "bold"), words))
        lines.append(Text(""))
    return lines[:-1]


HELP = help_lines()


def footer(width: int) -> Text:
    """As many keys as fit on a line."""
    shown, room = list[tuple[str, str]](), width - sum(len(key) + len(words) + 3 for key, words in ALWAYS)
    for key, words in MAIN:
        room -= len(key) + len(words) + 3
        if room < 0:
            break
        shown.append((key, words))
    line = Text()
    for key, words in (*shown, *ALWAYS):
        line.append(key, style="bold").append(f" {words}  ", style="dim")
    return line
