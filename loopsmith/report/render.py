"""The report as HTML and as Markdown. Both say what `morning` says; the templates hold only the shape."""

import re
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from loopsmith.report.changes import PatchLine
from loopsmith.report.colours import coloured
from loopsmith.report.figure import DARK, STYLE, figure, legend
from loopsmith.report.morning import Morning
from loopsmith.report.ways import Command

TEMPLATES = Path(__file__).with_name("templates")
PICTURE = "progress.png"
# What has a meaning inside a line of Markdown, and at its beginning, also as GitHub reads it.
INLINE = re.compile(r"[\\`*\[\]<>|~$]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.")
START = re.compile(r"^(\d{1,9})?([#+\-.)=]+)(?=\s|$)")


def html(it: Morning) -> str:
    """One self-contained page: nothing in it loads anything, and its policy forbids what would."""
    style = page_style()
    changed = {item.number for item in it.changes}
    known = changed | {item.number for item in it.cited}
    drawn = figure(it.curve, alone=False, link=lambda number: f"#c{number}" if number in known else "")
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            it=it,
            style=style,
            style_hash=f"sha256-{b64encode(sha256(style.encode()).digest()).decode()}",
            figure=drawn,
            legend=legend(it.curve),
            kept=changed,
            known=known,
        )
    )


def markdown(it: Morning, *, picture: bool = True) -> str:
    """The same in Markdown, as GitHub shows it.

    Args:
        picture: `progress.png` lies beside it.
    """
    text = environment().get_template("report.md.j2").render(it=it, picture=PICTURE if picture else "")
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def page_style() -> str:
    """The report's style sheet, with the picture's."""
    dark = f"@media (prefers-color-scheme: dark) {{ :root {{{DARK}}} }}\n"
    return (TEMPLATES / "report.css").read_text(encoding="utf-8") + STYLE + dark


@cache
def environment() -> Environment:
    """The templates, with everything escaped that is not marked otherwise."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"coded": coded, "md": md, "span": span, "fenced": fenced}
    made.filters |= {"patch": patch_block, "commands": command_block, "coloured": coloured}
    return made


def coded(text: str) -> Markup:
    """HTML of a sentence, with what stands in backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def md(text: object) -> Markup:
    """A text on one line of Markdown, in which nothing is markup."""
    line = " ".join(str(text).split()).replace("&", "&amp;")
    line = INLINE.sub(lambda found: f"\\{found[0]}", line)
    return Markup(START.sub(lambda found: f"{found[1] or ''}\\{found[2]}", line))


def span(text: str) -> Markup:
    """A text as code within a line of Markdown."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    bar, space = "`" * (longest + 1), " " if "`" in text else ""
    return Markup(f"{bar}{space}{text}{space}{bar}")


def fenced(text: str, language: str = "") -> Markup:
    """A text as a block of code that it cannot close."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    bar = "`" * (longest + 1)
    return Markup(f"{bar}{language}\n{text.rstrip()}\n{bar}")


def patch_block(lines: Sequence[PatchLine]) -> Markup:
    return fenced("\n".join(line.text for line in lines), "diff")


def command_block(items: Sequence[Command]) -> Markup:
    return fenced("\n".join(f"{item.line}  # {item.why}" for item in items), "sh")
