"""The keys, as the footer and the help say them."""

from rich.text import Text

from loopsmith.watch.feed import Picture

REVIEW = (("a", "approve"), ("d", "reject"))
FIND = (("enter", "open"), ("/", "search"), ("f", "filter"), ("o", "sort"))
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
            ("o", "sort candidates; the same again turns it round"),
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


def footer(picture: Picture | None, width: int) -> Text:
    """As many keys as fit on a line, those first that a person may have to press now."""
    keys: list[tuple[str, str]] = []
    if picture is not None:
        keys += REVIEW if picture.view["counts"]["quarantined"] else ()
        pause = ("r", "resume") if picture.status == "paused" else ("p", "pause")
        keys += (("s", "steer"), pause, ("x", "stop")) if picture.live else (("s", "steer"),)
    shown, room = list[tuple[str, str]](), width + 2 - sum(map(columns, ALWAYS))
    for each in (*keys, *FIND):
        room -= columns(each)
        if room >= 0:
            shown.append(each)
    line = Text()
    for key, words in (*shown, *ALWAYS):
        line.append(key, style="bold").append(f" {words}  ", style="dim")
    return line


def columns(key: tuple[str, str]) -> int:
    return len(key[0]) + len(key[1]) + 3
