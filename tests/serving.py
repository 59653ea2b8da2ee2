"""A real server on loopback, and a tracker with what it must show."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from loopsmith.campaign.state import StateFolder
from loopsmith.lessons import Learned, LessonKind
from loopsmith.records import Candidate, Decision, Effect, Phase, Reflection, Report, Run, Slot, Usage, Verdict
from loopsmith.serve.server import Server, access_for, listen
from loopsmith.serve.site import Site
from loopsmith.serve.source import Source
from loopsmith.tracker import Store, open_store

TOKEN = "a-token-for-the-tests"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    """Asks a server; sends no header but those that are given, and Host."""

    port: int
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {**self.headers, **named})
        answer = connection.getresponse()
        found = Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        connection.close()
        return found

    def whole(self, path: str) -> Answer:
        """A page that shows all as it is now: on a busy machine the first one may show sums of before."""
        end = time.monotonic() + 60
        while b'data-version="older"' in (answer := self.ask(path)).body:
            assert time.monotonic() < end
            time.sleep(0.05)
        return answer

    def post(self, path: str, form: dict[str, str], **headers: str) -> Answer:
        """A form as a browser sends it from a page of this server."""
        kind = {"content_type": "application/x-www-form-urlencoded", "origin": self.url}
        return self.ask(path, "POST", urlencode(form).encode(), **{**kind, **headers})

    def send(self, path: str, value: object, **headers: str) -> Answer:
        body = json.dumps(value).encode()
        return self.ask(path, "POST", body, **{"content_type": "application/json", **headers})

    @contextmanager
    def stream(self, path: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        try:
            yield answer
        finally:
            answer.close()
            connection.close()


def events_in(stream: Iterator[bytes]) -> Iterator[tuple[str, Any]]:
    """The named server-sent events of a stream."""
    name = ""
    for line in stream:
        if line.startswith(b"event: "):
            name = line[7:].decode().strip()
        elif line.startswith(b"data: "):
            yield name, json.loads(line[6:])


Serve = Callable[..., Client]


@contextmanager
def served(state: Path, *, control: bool = False, private: bool = False, token: str = TOKEN) -> Iterator[Client]:
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    given = token if control or private else None
    access = access_for("127.0.0.1", port, control=control, given=given, private=private)
    server = Server(Site(Source(StateFolder(state)), access))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield Client(port)
    finally:
        server.handle_exit(15, None)
        thread.join(20)
        assert not thread.is_alive()


def start(store: Store, state: Path, id: str = "c", **values: Any) -> None:
    fields: dict[str, Any] = {
        "id": id,
        "name": "faster",
        "workflow_path": "/project/WORKFLOW.md",
        "workflow_text": "",
        "workflow_hash": "w",
        "identity_hash": "i",
        "settings": {
            "objective": {"metric": "score", "direction": "maximize"},
            "budget": {"rounds": 9, "cost_usd": 5.0},
        },
        "source": str(state.parent),
        "origin_commit": "0" * 40,
        "task_titles": ["raise the score"],
    }
    store.start_campaign(**{**fields, **values})


def decide(
    store: Store, candidate: Candidate, verdict: Verdict, *, value: float | None = None, words: str = "", **more: Any
) -> None:
    """Take a candidate through its states to a verdict."""
    commit = f"{candidate.number:040x}"
    text = words or f"idea {candidate.number}"
    report = Report(finish_reason="submitted", hypothesis=text, summary=text, lesson=f"lesson of {text}", **more)
    store.claim(candidate.id)
    if value is not None:
        store.submit(candidate.id, commit=commit, tree=commit, lines_added=2, lines_removed=1, report=report)
        store.begin_verification(candidate.id)
        run = Run(seed=1, metrics={"score": value}, seconds=0.5, log=None)
        key = {"campaign_id": candidate.campaign_id, "candidate_id": candidate.id, "commit": commit}
        store.record_run(**key, phase=Phase.SCREEN, pair=0, run=run)
        if verdict in (Verdict.KEPT, Verdict.QUARANTINED):
            store.screened(candidate.id, value)
            store.begin_confirmation(candidate.id)
            store.record_run(**key, phase=Phase.CONFIRM, pair=0, run=run)
    effect = Effect(mean=0.1, low=0.05, high=0.15, samples=4) if value is not None else None
    reason, base = f"because of {text}", None if value is None else 1.0
    decision = Decision(verdict=verdict, reason=reason, rule="t", effect=effect, value=value, baseline_value=base)
    reflection = Reflection(
        campaign_id=candidate.campaign_id, candidate_id=candidate.id, hypothesis=text, outcome=verdict, effect=effect
    )
    new = commit if verdict is Verdict.KEPT else None
    store.decide(candidate.id, decision, reflection, report=report, new_baseline=new)
    row = store.reserve(
        campaign_id=candidate.campaign_id,
        round_id=candidate.round_id,
        candidate_id=candidate.id,
        usage=Usage(role="worker", model="m", input_tokens=100, output_tokens=10, cost_usd=0.25),
    )
    store.settle(row, Usage(role="worker", model="m", input_tokens=100, output_tokens=10, cost_usd=0.2))
    store.record_event(candidate.campaign_id, "candidate.decided", candidate_id=candidate.id, verdict=str(verdict))


def fill(store: Store, state: Path, *, words: str = "", **campaign: Any) -> tuple[Candidate, ...]:
    """A campaign of six candidates: kept, discarded, failed, quarantined, one that started elsewhere, one open."""
    start(store, state, **campaign)
    run = Run(seed=1, metrics={campaign.get("metric", "score"): 1.0}, seconds=0.5, log=None)
    store.record_run(campaign_id="c", candidate_id=None, commit="0" * 40, phase=Phase.BASELINE, pair=0, run=run)
    slots = [Slot(seed=n, agent="tuner", plan={"category": words or "loops"}) for n in range(4)]
    round_, first = store.plan_round("c", task_id="c.t1", baseline_commit="0" * 40, slots=slots)
    ends = ((Verdict.KEPT, 1.1), (Verdict.DISCARDED, 1.0), (Verdict.FAILED, None), (Verdict.QUARANTINED, 9.0))
    for candidate, (verdict, value) in zip(first, ends, strict=True):
        decide(store, candidate, verdict, value=value, words=words)
    store.finish_round(round_.id)
    slots = [Slot(seed=9, agent="tuner", parent=f"{2:040x}"), Slot(seed=10, agent="tuner")]
    _, second = store.plan_round("c", task_id="c.t1", baseline_commit=f"{1:040x}", slots=slots)
    decide(store, second[0], Verdict.DISCARDED, value=1.05, words=words)
    answer = store.record_answer("c", "reflector", "r1", {"said": 1})
    shown = (first[0].id, first[1].id)
    store.learn(answer, Learned(new=((LessonKind.LESSON, words or "loops like to be fused", shown),)))
    return (*first, *second)


def rewrite(state: Path, statement: Any) -> None:
    """Change a tracker behind loopsmith's back."""
    with open_store(state / "tracker.db") as store, store._database.writing() as connection:
        connection.execute(statement)
