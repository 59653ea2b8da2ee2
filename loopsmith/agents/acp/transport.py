"""Lines of JSON to and from an agent's program, as the SDK's connection wants them.

What is no message of the protocol never reaches the SDK: lines that are no JSON, that are too long, or that are
updates of a kind nobody knows. They are counted and noted.
"""

import json
from collections.abc import Callable
from typing import Any

from acp.schema import SessionNotification
from pydantic import ValidationError

from loopsmith.process import Piped

LINE = 16_000_000  # bytes; a longer line is passed over
STRAY = 200  # lines in a row that are no messages; then the program speaks something else
SHOWN = 200  # characters of a stray line in the transcript
UPDATE = "session/update"


class Lines:
    """Implements the SDK's `Transport`.

    Args:
        heard: called whenever the program says anything.
        note: keeps a sentence in the transcript.
    """

    def __init__(self, program: Piped, heard: Callable[[], None], note: Callable[[str], None]):
        self._program, self._heard, self._note = program, heard, note
        self._buffer = bytearray()
        self._searched = 0
        self._passing_over = False
        self._stray = 0
        self.problem = ""  # why nothing more is read, when that is not the program's end

    async def send(self, message: dict[str, Any]) -> None:
        try:
            await self._program.write(json.dumps(message, separators=(",", ":"), default=str).encode() + b"\n")
        except OSError:
            if "method" in message and "id" in message:  # a request; for an answer, nobody is there to miss it
                raise ConnectionResetError("the agent ended") from None

    async def receive(self) -> dict[str, Any] | None:
        while not self.problem:
            line = await self._line()
            if line is None:
                break
            message = self._message(line)
            if message is not None:
                self._stray = 0
                return message
        return None

    async def close(self) -> None:
        """Nothing is left to do: the program and its pipes end with their block."""

    async def _line(self) -> bytes | None:
        while True:
            end = self._buffer.find(b"\n", self._searched)
            if end >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                self._searched = 0
                if not self._passing_over:
                    return line
                self._passing_over = False
                continue
            self._searched = len(self._buffer)
            if len(self._buffer) > LINE:
                if not self._passing_over:
                    self._note(f"a line of more than {LINE:,} bytes was passed over")
                self._passing_over = True
                self._buffer.clear()
                self._searched = 0
            data = await self._program.read()
            if not data:
                return None
            self._heard()
            self._buffer += data

    def _message(self, line: bytes) -> dict[str, Any] | None:
        text = line.decode(errors="replace").strip()
        if not text:
            return None
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict) or not isinstance(message.get("method", ""), str):
            self._pass_over("is no message", text)
            return None
        if message.get("method") == UPDATE:
            try:
                SessionNotification.model_validate(message.get("params"))
            except ValidationError:
                self._pass_over("is an update of no known kind", text)
                return None
        if "method" in message and "id" not in message and message["method"] != UPDATE:
            return None  # notifications of an extension
        return message

    def _pass_over(self, why: str, text: str) -> None:
        self._note(f"a line that {why}: {text[:SHOWN]}")
        self._stray += 1
        if self._stray > STRAY:
            self.problem = f"printed {self._stray} lines in a row that are no messages of the Agent Client Protocol"
