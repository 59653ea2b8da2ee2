"""The home folder of one run of a program: its settings and a copy of the login. Nothing of the user's is changed."""

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from loopsmith import log
from loopsmith.workflow.coding import CliAgent, Entry
from loopsmith.workspace import remove_folder

REPORT = "report.json"
PROMPT = "prompt.md"
LARGEST = 1_000_000  # bytes of a report, and of a file that is copied
SECRET = 20  # characters; a shorter text of a login is a name
# Where programs look instead of in the home folder, if the user says so.
FOLDERS = {
    "CLAUDE_CONFIG_DIR": ".claude",
    "CODEX_HOME": ".codex",
    "COPILOT_HOME": ".copilot",
    "PI_CODING_AGENT_DIR": ".pi/agent",
    "XDG_CONFIG_HOME": ".config",
    "XDG_DATA_HOME": ".local/share",
}


class Words(BaseModel):
    """What a program writes about its work; each word is optional."""

    model_config = ConfigDict(extra="ignore")

    hypothesis: str = ""
    summary: str = ""
    tried: str = ""
    lesson: str = ""
    expected_effect: str = ""
    try_next: str = ""


def users(path: str) -> Path:
    """A file below the user's home folder, where it really is."""
    for variable, folder in FOLDERS.items():
        if (value := os.environ.get(variable)) and Path(path).is_relative_to(folder):
            return Path(value) / Path(path).relative_to(folder)
    return Path(os.path.expanduser("~")) / path


def furnish(home: Path, entry: Entry, files: Mapping[str, bytes]) -> None:
    """Make a home folder, anew: what the workflow gives, else the user's login, else what the entry gives.

    One that a program had before is removed first: it may hold links to anywhere.
    """
    remove_folder(home)
    home.mkdir(mode=0o700)
    for path in entry.login:
        try:
            content = users(path).read_bytes()
        except OSError:
            continue  # there may be a key instead
        for value in texts(content):
            log.register_secret(value)
        put(home / path, content)
    for path, text in entry.files.items():
        if not (home / path).exists():
            put(home / path, text.encode())
    for path, content in files.items():
        put(home / path, content)


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    path.write_bytes(content)


def logged_in(settings: CliAgent, entry: Entry) -> bool:
    """Whether there is anything that a login could be: a key, a file, or what the workflow passes on."""
    given = any(os.environ.get(name) for name in (*entry.keys, *settings.env))
    return given or bool(settings.files) or any(users(path).is_file() for path in entry.login)


def texts(content: bytes) -> Iterator[str]:
    """The texts of a login that may be secret."""
    try:
        waiting: list[Any] = [json.loads(content)]
    except (ValueError, RecursionError):
        return
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict | list):
            waiting += value.values() if isinstance(value, dict) else value
        elif isinstance(value, str) and len(value) >= SECRET and " " not in value:
            yield value


def words(home: Path) -> Words:
    """What the program wrote about its work; empty where that cannot be read."""
    with suppress(ValidationError):
        return Words.model_validate_json(end_of(home / REPORT, LARGEST))
    return Words()


def end_of(path: Path, size: int) -> str:
    """The end of a plain file that a program may have put in its home; no link is followed, and no pipe waited for."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    with open(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            return ""
        file.seek(max(0, status.st_size - size))
        return file.read(size).decode("utf-8", "replace")
