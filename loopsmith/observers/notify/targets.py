"""Where messages go: a webhook, a command, the desktop. Each says in one line why it could not."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from html import escape
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol

from loopsmith.errors import LoopsmithError, WorkflowError
from loopsmith.log import mask, register_secret
from loopsmith.observers.notify.message import Message
from loopsmith.tracker.reading.extract import json_text
from loopsmith.workflow import format_duration
from loopsmith.workflow.notify import Notify, Occasion
from loopsmith.workflow.quote import one_line

PASSING = (408, 425, 429, 500, 502, 503, 504)  # HTTP statuses that may be another a little later
LONGEST = 3_000  # characters of a webhook's text
GRACE = 1.0  # seconds between SIGTERM and SIGKILL


class NotTold(LoopsmithError):
    """A message did not arrive.

    Args:
        passing: it may when it is sent again.
        after: seconds to wait before, if the other side says so.
    """

    def __init__(self, message: str, *, passing: bool = False, after: float | None = None):
        self.passing, self.after = passing, after
        super().__init__(message)


class Target(Protocol):
    """One way to tell a person."""

    name: str  # as events name it, without what is secret in it
    on: tuple[Occasion, ...]

    def send(self, message: Message) -> None:
        """Deliver a message, once.

        Raises:
            NotTold: it did not arrive.
        """
        ...


def build(settings: Sequence[Notify], folder: Path) -> list[Target]:
    """The targets that the settings ask for.

    Args:
        folder: the workflow's, where commands run.

    Raises:
        WorkflowError: with the problems of all of them: a variable that is not set, a program that is missing.
    """
    made: list[Target] = []
    problems: list[str] = []
    for index, each in enumerate(settings, start=1):
        place = f"notify item {index}" if len(settings) > 1 else "notify"
        if each.webhook is not None:
            if each.webhook.unset:
                problems.append(f"{place}: set the environment variable {each.webhook}, the webhook's URL")
            else:
                made.append(Webhook(f"{index}.webhook", each, each.webhook.get_secret_value()))
        if each.command is not None:
            made.append(Command(f"{index}.command", each, each.command, folder))
        if each.desktop:
            desktop = Desktop(f"{index}.desktop", each)
            made.append(desktop)
            if shutil.which(desktop.program) is None:
                hint = (
                    "install it (apt install libnotify-bin, dnf install libnotify), "
                    if sys.platform != "darwin"
                    else ""
                )
                problems.append(f"{place}: there is no program `{desktop.program}`; {hint}or remove desktop: true")
    if problems:
        raise WorkflowError(*problems)
    return made


class Webhook:
    """Posts `{"text": ...}`, as the incoming webhooks of Slack, Mattermost, Rocket.Chat and others take it."""

    def __init__(self, name: str, settings: Notify, url: str):
        self.name, self.on, self.timeout, self.url = name, settings.on, settings.timeout, url
        register_secret(url)

    def send(self, message: Message) -> None:
        text = "\n".join(harmless(line) for line in (message.title, *message.lines))[:LONGEST]
        request = urllib.request.Request(
            self.url,
            data=json.dumps({"text": text}).encode(),
            headers={"Content-Type": "application/json", "User-Agent": "loopsmith"},
        )
        try:
            with urllib.request.build_opener(NoRedirect).open(request, timeout=self.timeout) as answer:
                answer.read(1000)
        except urllib.error.HTTPError as error:
            said = one_line(error.read(200).decode(errors="replace"))
            raise NotTold(
                f"the webhook answered {error.code}" + (f": {said}" if said else ""),
                passing=error.code in PASSING,
                after=seconds_in(error.headers.get("Retry-After")),
            ) from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise NotTold(f"the webhook cannot be reached: {one_line(str(reason))}", passing=True) from None
        except (HTTPException, ValueError) as error:  # its words may quote a part of the URL
            raise NotTold(f"the webhook cannot be used: {type(error).__name__}", passing=True) from None


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would turn the message into a request for a page, which succeeds."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        return None


class Command:
    """Runs a person's own command: in the workflow's folder, with all of the environment, outside the sandbox."""

    def __init__(self, name: str, settings: Notify, command: str, folder: Path):
        self.name, self.on, self.timeout = name, settings.on, settings.timeout
        self.command, self.folder = command, folder

    def send(self, message: Message) -> None:
        given = {
            "LOOPSMITH_EVENT": message.occasion,
            "LOOPSMITH_KEY": message.key,
            "LOOPSMITH_CAMPAIGN": str(message.record["campaign"]["id"]),
            "LOOPSMITH_CANDIDATE": str((message.record["candidate"] or {}).get("candidate", "")),
            "LOOPSMITH_TITLE": message.title,
            "LOOPSMITH_TEXT": message.body,
        }
        record = {**message.record, "title": message.title, "text": message.body}
        problem = run(
            ["/bin/sh", "-c", self.command], self.folder, given, mask(json_text(record)).encode(), self.timeout
        )
        if problem:
            raise NotTold(f"the command {problem}", passing=True)


class Desktop:
    """A notification of the desktop that loopsmith runs on."""

    def __init__(self, name: str, settings: Notify):
        self.name, self.on, self.timeout = name, settings.on, settings.timeout
        self.program = "osascript" if sys.platform == "darwin" else "notify-send"

    def send(self, message: Message) -> None:
        problem = run(self.argv(message), Path("/"), {}, b"", self.timeout)
        if problem:
            raise NotTold(f"{self.program} {problem}")

    def argv(self, message: Message) -> list[str]:
        """The command line; what it shows is passed as arguments, so that nothing of it is taken for a script."""
        if self.program == "osascript":
            script = ("on run argv", "display notification (item 2 of argv) with title (item 1 of argv)", "end run")
            return ["osascript", *(word for line in script for word in ("-e", line)), message.title, message.body]
        urgency = "critical" if message.occasion in ("failed", "quarantined") else "normal"
        body = escape(message.body, quote=False)  # some desktops read HTML in it
        return ["notify-send", "--app-name=loopsmith", f"--urgency={urgency}", "--", message.title, body]


def run(argv: Sequence[str], folder: Path, env: Mapping[str, str], stdin: bytes, timeout: float) -> str:
    """Run a command of the person's own; why it failed in words, or nothing.

    It stays in loopsmith's session, where the search for what verifiers leave behind does not look.
    """
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as output:
        source.write(stdin)
        source.seek(0)
        values = {name: value.replace("\0", "") for name, value in env.items()}
        try:
            process = subprocess.Popen(
                argv,
                cwd=folder,
                env={**os.environ, **values},
                stdin=source,
                stdout=output,
                stderr=output,
                process_group=0,
            )
        except OSError as error:
            return f"could not be started: {error.strerror}"
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            end(process)
            return f"took longer than {format_duration(timeout)}"
        if code == 0:
            return ""
        output.seek(max(0, output.tell() - 2000))
        said = output.read().decode(errors="replace").strip().splitlines()[-1:]
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return how + "".join(f": {one_line(line)}" for line in said)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a command with its process group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            continue
        except (ProcessLookupError, PermissionError):
            process.wait()
        return


def harmless(text: str) -> str:
    """Text in which chat programs find no mention, no link and no markup of theirs."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("@", "@\u200b").replace("](", "] (")


def seconds_in(value: str | None) -> float | None:
    return float(value) if value and value.strip().isdigit() else None
