"""What a terminal can show: whether a full-screen view at all, letters beyond ASCII, colours."""

import sys
from collections.abc import Mapping

LINES_ONLY = ("", "dumb", "unknown")  # values of TERM
MONOCHROME = ("vt52", "vt100", "vt102", "vt220", "vt320", "vt420")
ADVICE = "use `loopsmith status`, or `loopsmith log`, from which programs can read too"


def unfit(environ: Mapping[str, str]) -> str:
    """Why the view cannot be shown here; empty where it can."""
    if not (sys.__stdin__ and sys.__stdin__.isatty() and sys.__stderr__ and sys.__stderr__.isatty()):
        return f"the full-screen view needs a terminal; {ADVICE}"
    if not (sys.__stdout__ and sys.__stdout__.isatty()):
        return f"the full-screen view cannot be piped; {ADVICE}"
    if environ.get("TERM", "") in LINES_ONLY:
        return f"this terminal (TERM={environ.get('TERM') or 'not set'}) cannot show a full-screen view; {ADVICE}"
    return ""


def ascii_only(environ: Mapping[str, str]) -> bool:
    """Whether the terminal cannot be trusted with more than ASCII: no UTF-8 in the locale, as tmux and less ask it."""
    locale = next((environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(name)), "")
    return "utf8" not in locale.lower().replace("-", "") or environ.get("TERM", "") in MONOCHROME


def monochrome(environ: Mapping[str, str]) -> bool:
    """Whether the terminal has no colours, or a person wants none (https://no-color.org)."""
    return bool(environ.get("NO_COLOR")) or environ.get("TERM", "") in MONOCHROME
