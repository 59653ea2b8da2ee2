"""What an agent and loopsmith said to each other, as lines of JSON."""

import json
from pathlib import Path
from typing import Any

from loopsmith.log import mask

CHUNKS = {"agent_message_chunk": "Message", "agent_thought_chunk": "Thought"}
LONGEST = 200_000  # characters of one record's text


class Transcript:
    """A file that grows while the agent works; the pieces of one message become one record."""

    def __init__(self, path: Path):
        self.path = path
        self.messages: list[str] = []  # of the agent, whole
        self._kind, self._pieces, self._size = "", [""], 0
        path.write_text("")

    def add(self, kind: str, **record: Any) -> None:
        self._finish()
        self._write({"kind": kind, **record})

    def note(self, text: str) -> None:
        self.add("Note", text=text)

    def update(self, update: dict[str, Any]) -> None:
        """An update of the session, as the protocol writes it."""
        name = update.get("sessionUpdate", "")
        if name not in CHUNKS:
            return self.add("Update", update=update)
        if CHUNKS[name] != self._kind:
            self._finish()
            self._kind = CHUNKS[name]
        content = update.get("content") or {}
        text = str(content.get("text", "")) or f"[{content.get('type', 'nothing')}]"
        self._size += len(text)
        if self._size <= LONGEST:
            self._pieces.append(text)
        return None

    def last_words(self) -> str:
        self._finish()
        return next((text.strip() for text in reversed(self.messages) if text.strip()), "")

    def _finish(self) -> None:
        text, kind = "".join(self._pieces), self._kind
        self._kind, self._pieces, self._size = "", [], 0
        if kind and text:
            if kind == "Message":
                self.messages.append(text)
            self._write({"kind": kind, "text": text})

    def _write(self, record: dict[str, Any]) -> None:
        line = mask(json.dumps(record, ensure_ascii=False, default=str).encode(errors="replace").decode())
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
