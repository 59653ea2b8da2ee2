"""Those who watch a campaign: registered, started, told, switched off when they fail, and never waited for."""

import sys
import threading
from importlib.metadata import EntryPoint
from types import SimpleNamespace
from typing import ClassVar

import pytest
from support import run, setting_x, write_source

import loopsmith.observers as module
from loopsmith import workflow
from loopsmith.campaign.live import telling
from loopsmith.errors import WorkflowError
from loopsmith.observers.audience import ROOM, Audience
from loopsmith.observers.figures import Curves, Figures
from loopsmith.tracker import open_store


class Mine:
    """Another maker's observer, which writes down what it is told; it breaks where its options say so."""

    made: ClassVar[list] = []

    def __init__(self, options):
        if "no" in options:
            raise WorkflowError("mine cannot work")
        self.options, self.told, self.campaign, self.closed = options, [], None, False
        Mine.made.append(self)

    def start(self, campaign):
        self.campaign = campaign
        if "start" in self.options:
            raise ValueError("cannot start")

    def observe(self, happening):
        if happening.name == self.options.get("at"):
            raise SystemExit("cannot go on")
        self.told.append(happening)
        if "hang" in self.options:
            self.options["hang"].wait()

    def close(self):
        self.closed = True
        if "close" in self.options:
            raise OSError("cannot close")


@pytest.fixture
def mine(monkeypatch):
    """Registers `mine`, and `other`, which is the same, and a broken one; gives those that were made."""
    points = [EntryPoint(name, "test_mine:Mine", module.GROUP) for name in ("mine", "other")]
    points.append(EntryPoint("broken", "no_such_module:Mine", module.GROUP))
    monkeypatch.setitem(sys.modules, "test_mine", sys.modules[__name__])
    for place in ("loopsmith.observers", "loopsmith.workflow.agent"):
        monkeypatch.setattr(f"{place}.entry_points", lambda group: points)
    Mine.made.clear()
    return Mine.made


def failed(path):
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        return [event.data for event in store.events(store.campaigns()[-1].id, name="observer.failed")]


def test_another_maker_s_observer_is_one_line_and_sees_the_whole_campaign(tmp_path, mine):
    path = write_source(tmp_path, agent=setting_x(12, 15), observe="mine")
    run(path)
    (observer,) = mine
    assert observer.closed
    names = [happening.name for happening in observer.told]
    assert names[0] == "campaign.started"
    assert names[-1] == "campaign.ended"
    decided = {happening.candidate for happening in observer.told if happening.name == "candidate.decided"}
    assert decided == {1, 2}
    assert {happening.round for happening in observer.told if happening.candidate} == {1}


def test_what_it_asks_of_the_campaign_is_answered(tmp_path, mine, monkeypatch):
    asked = {}

    def ask(self, happening):
        if happening.name == "round.finished":
            campaign = self.campaign
            asked["record"], asked["patch"] = campaign.record(2), campaign.patch(2)
            asked["decided"] = [record["candidate"] for record in campaign.decided()]
            asked["baseline"], asked["name"] = campaign.baseline, campaign.campaign.name
            asked["calls"], asked["spent"] = campaign.calls(candidate=2), campaign.spent().calls

    monkeypatch.setattr(Mine, "observe", ask)
    run(write_source(tmp_path, agent=setting_x(12, 15), observe={"mine": {"a": 1}}))
    assert mine[0].options == {"a": 1}
    assert (asked["record"]["status"], asked["record"]["value"]) == ("kept", 15.0)
    assert "+X=15" in asked["patch"]
    assert (asked["decided"], asked["baseline"], asked["name"]) == ([1, 2], 10.0, "tiny")
    assert (asked["calls"], asked["spent"]) == ((), 0)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"start": True}, "ValueError: cannot start"),
        ({"at": "candidate.decided"}, "SystemExit: cannot go on"),
        ({"close": True}, "OSError: cannot close"),
    ],
)
def test_one_that_fails_is_said_once_and_switched_off_and_the_others_go_on(tmp_path, mine, options, reason):
    path = write_source(tmp_path, agent=setting_x(12, 15), observe=[{"mine": options}, "other"])
    assert run(path)["counts"]["kept"] == 1
    assert failed(path) == [{"observer": "mine", "reason": reason}]
    assert mine[1].told[-1].name == "campaign.ended"
    assert all(happening.name != options.get("at") for happening in mine[0].told)


def test_one_that_hangs_holds_up_neither_the_campaign_nor_its_end(tmp_path, mine, monkeypatch):
    monkeypatch.setattr(telling, "DRAIN", 0.3)
    stuck = threading.Event()
    monkeypatch.setattr(Mine, "observe", lambda self, happening: stuck.wait())
    path = write_source(tmp_path, agent=setting_x(12, 15), observe="mine")
    try:
        assert run(path)["counts"]["kept"] == 1
    finally:
        stuck.set()
    assert failed(path)[0]["reason"].startswith("did not end within 0.3 s")


def test_a_storm_of_events_is_not_waited_for_and_what_is_lost_is_said(mine):
    said = []
    audience = Audience({"mine": Mine({})}, None, lambda name, **data: said.append((name, data)))
    for number in range(ROOM + 7):
        audience.observe("round.finished", None, {"number": number})
        audience.observe("worker.progress", None, {"text": "many times a second"})
    audience.feed.start()
    audience.close()
    assert audience.feed.done.wait(20)
    assert len(mine[0].told) == ROOM
    assert said == [("observer.lost", {"happenings": 7})]


def test_what_cannot_work_is_said_before_anything_is_spent_and_names_the_extra(tmp_path, mine, monkeypatch, loopsmith):
    path = write_source(tmp_path, agent=setting_x(1), observe=[{"mine": {"no": 1}}, "broken"])
    result = loopsmith("run", path)
    assert result.code == 2
    assert "observe.mine: mine cannot work" in result.err
    assert "observe.broken (no_such_module:Mine) cannot be loaded" in result.err
    assert "observe.mine: mine cannot work" in loopsmith("check", path).err


@pytest.mark.parametrize("name", ["mlflow", "wandb", "tensorboard", "otel"])
def test_a_package_that_is_missing_is_one_line_with_the_extra_that_brings_it(tmp_path, monkeypatch, loopsmith, name):
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    result = loopsmith("run", write_source(tmp_path, agent=setting_x(1), observe=name))
    assert result.code == 2
    assert f"pip install 'loopsmith[{name}]'" in result.err
    assert len(result.err.splitlines()) == 1


def test_importing_them_imports_none_of_the_tools():
    import subprocess

    code = (
        "import sys\n"
        "from loopsmith.cli.app import COMMANDS, loaded\n"
        "[loaded(name) for panel in COMMANDS.values() for name in panel]\n"
        "from loopsmith.observers import mlflow, otel, tensorboard, wandb\n"
        "heavy = {'mlflow', 'wandb', 'tensorboardX', 'opentelemetry.sdk', 'pyarrow', 'datasette'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_short_and_long_forms_of_the_setting_are_one(tmp_path):
    forms = ["otel", ["otel"], {"otel": {}}, [{"otel": {}}], {"otel": True, "wandb": "off"}]
    loaded = [
        workflow.load(write_source(tmp_path, agent=setting_x(1), observe=form)).settings.observe for form in forms
    ]
    assert all(form == loaded[0] for form in loaded)
    assert list(loaded[0].members()) == ["otel"]


def test_a_candidate_that_a_person_approves_is_counted_among_the_kept_ones_and_its_cost_once():
    whole = {"effect": 0.5, "effect_low": 0.5, "effect_high": 0.5, "seconds": 1.0, "verify_seconds": 1.0, "metrics": {}}
    record = {"candidate": 1, "value": 15.0, "cost_usd": 2.0, "input_tokens": 1, "output_tokens": 1, **whole}
    figures = Figures(10.0)
    waiting, approved, again = (figures.of(record | {"status": status}) for status in ("quarantined", "kept", "kept"))
    assert [each["kept"] for each in (waiting, approved, again)] == [0, 1, 1]
    assert [each["best"] for each in (waiting, approved, again)] == [10.0, 15.0, 15.0]
    assert again["cost_usd_total"] == 2.0


def test_the_cost_so_far_has_what_the_planner_and_the_reflector_cost():
    made = {1: [1.0], 2: [1.0]}  # a planner's call in each round

    class Watching(Curves):
        def draw(self, number, numbers, record):
            drawn[number] = numbers.get("cost_usd_total")

    def calls(*, round):
        return [SimpleNamespace(usage=SimpleNamespace(cost_usd=cost)) for cost in made[round]]

    whole = {"effect": None, "effect_low": None, "effect_high": None, "seconds": 1.0, "verify_seconds": 1.0}
    whole |= {"value": 9.0, "cost_usd": 2.0, "input_tokens": 1, "output_tokens": 1, "metrics": {}}
    records = {number: whole | {"candidate": number, "round": number, "status": "discarded"} for number in (1, 2)}
    drawn, watching = {}, Watching()
    watching.campaign = SimpleNamespace(baseline=10.0, calls=calls, record=records.get, decided=lambda: [records[1]])
    watching.catch_up(lambda _: False)
    made[1].append(0.5)  # the reflector's, when the round is over
    watching.observe(SimpleNamespace(name="candidate.decided", candidate=2))
    assert drawn == {0: None, 1: 3.0, 2: 6.5}
