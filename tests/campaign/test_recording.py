"""Record and replay: the same decisions, byte for byte, with no network and no key."""

import json
from pathlib import Path

import pytest
import recorded
from model_server import TOO_LONG, WRONG_KEY, by_turn, calls, model_server
from support import run, write_source

from loopsmith import workflow
from loopsmith.agents.recording import stable_lines, to_record, to_replay
from loopsmith.errors import ProviderError, UsageError
from loopsmith.records import CampaignStatus
from loopsmith.search.budget import End
from loopsmith.tracker import open_store

SECRET = "sk-secret-of-the-recording"


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("RECORDED_KEY", SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)


@pytest.fixture
def no_key(monkeypatch):
    for name in ("RECORDED_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    serve_at(monkeypatch, "http://127.0.0.1:9")  # nobody is there


def serve_at(monkeypatch, url):
    for name in recorded.ENDPOINTS:
        monkeypatch.setenv(name, str(url))


def test_the_recorded_campaign_of_the_repository_decides_the_same_byte_for_byte(tmp_path, no_key):
    path = recorded.write_workflow(tmp_path)
    run(path, tape=to_replay(recorded.FOLDER))
    assert recorded.decisions(path) == (recorded.FOLDER.parent / "tiny.decisions").read_text()


def test_a_recording_is_replayed_as_a_new_campaign_of_the_same_state_folder(tmp_path, key, monkeypatch):
    with model_server(recorded.mind) as url:
        serve_at(monkeypatch, url)
        path = recorded.write_workflow(tmp_path / "source")
        recorded.record(path, tmp_path / "tape")
        asked = len(url.requests)
        for _ in range(2):
            run(path, tape=to_replay(tmp_path / "tape"))
        assert len(url.requests) == asked
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        assert len({campaign.id for campaign in store.campaigns()}) == 3
    first, second, third = (recorded.decisions(path, number) for number in range(3))
    assert first == second == third


def test_no_secret_enters_a_recording(tmp_path, key, monkeypatch):
    def leaking(body):
        answer = recorded.mind(body)
        return {**answer, "text": f"I read {SECRET}."} if answer.get("tool_calls") else answer

    with model_server(leaking) as url:
        serve_at(monkeypatch, url)
        recorded.record(recorded.write_workflow(tmp_path / "source"), tmp_path / "tape")
        assert SECRET in url.headers[0]["authorization"]
    files = [file.read_text() for file in (tmp_path / "tape").iterdir()]
    assert any("I read" in text for text in files)
    assert not [text for text in files if SECRET in text or "authorization" in text.lower() or "Bearer" in text]


def tiny(folder, url, **settings):
    agent = {"kind": "openai", "model": "local", "base_url": str(url), "price": 0, "max_tokens": 1000}
    return write_source(folder, agent=agent, search={"candidates_per_round": 1, "plan": False}, **settings)


SUBMIT = calls(submit={"hypothesis": "h", "summary": "s"})
EDIT = calls(bash={"command": "sed -i 's/^X=.*/X=15/' program.sh"})


def test_a_question_that_was_not_recorded_ends_the_replay_and_says_why(tmp_path, key):
    with model_server(by_turn([EDIT, SUBMIT])) as url:
        path = tiny(tmp_path / "source", url)
        run(path, tape=to_record(tmp_path / "tape"))
    path.write_text(path.read_text() + "\nBe bold.\n")
    with pytest.raises(
        ProviderError, match=r"has no answer for call 1 of candidate 1 to openai/local .*record it again"
    ):
        run(path, tape=to_replay(tmp_path / "tape"))
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        ends = {(campaign.status, campaign.stop_reason) for campaign in store.campaigns()}
    assert (CampaignStatus.FAILED, "provider") in ends


def test_a_full_context_and_the_end_of_time_are_part_of_a_recording(tmp_path, key):
    script = by_turn([EDIT, TOO_LONG])
    late = by_turn([EDIT, {**SUBMIT, "delay": 30}])
    for name, behind, reason in (("full", script, "context"), ("late", late, "wall_clock")):
        with model_server(behind) as url:
            path = tiny(tmp_path / name, url, budget={"per_worker": {"wall_clock": "8s"}})
            run(path, tape=to_record(tmp_path / f"{name}.tape"))
        run(path, tape=to_replay(tmp_path / f"{name}.tape"))
        one, two = (json.loads(recorded.decisions(path, number).split("\n")[0]) for number in (0, 1))
        assert one == two
        assert one[5] == reason


def test_a_recording_that_was_cut_off_goes_on_with_its_campaign(tmp_path, key):
    asked = []

    def script(body):
        asked.append(body)
        return WRONG_KEY if len(asked) == 2 else by_turn([EDIT, SUBMIT])(body)

    with model_server(script) as url:
        path = tiny(tmp_path / "source", url)
        with pytest.raises(ProviderError):
            run(path, tape=to_record(tmp_path / "tape"))
        run(path, tape=to_record(tmp_path / "tape"))
        assert len(asked) == 4
    run(path, tape=to_replay(tmp_path / "tape"))
    before, after = (json.loads(recorded.decisions(path, number).split("\n")[0]) for number in (0, 1))
    assert before == after


def test_a_replay_ends_where_a_clock_or_a_person_ended_the_recorded_campaign(tmp_path, key):
    def script(body):
        two = "Round 2" in json.dumps(body["messages"])
        return by_turn([calls(bash={"command": f"sed -i 's/^X=.*/X={15 + two}/' program.sh"}), SUBMIT])(body)

    def stop_after_two(context):
        def observe(name, candidate, data):
            if name == "round.finished" and data["number"] == 2:
                context.stop.request(End(reason="stopped", message="by a person"))

        context.observers.append(observe)

    with model_server(script) as url:
        path = tiny(tmp_path / "source", url, budget={"rounds": 10})
        run(path, before=stop_after_two, tape=to_record(tmp_path / "tape"))
    view = run(path, tape=to_replay(tmp_path / "tape"))
    assert (view["campaign"]["stop_reason"], view["counts"]["candidates"]) == ("stopped", 2)
    assert recorded.decisions(path, 0) == recorded.decisions(path, 1)


def test_folders_that_will_not_do_are_refused_before_anything_starts(tmp_path, key):
    with pytest.raises(UsageError, match="holds no recording"):
        to_replay(tmp_path / "none")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty and holds no recording"):
        to_record(tmp_path / "full")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "recording.json").write_text("{}")
    with pytest.raises(UsageError, match="cannot be read as a recording"):
        to_replay(tmp_path / "odd")
    with model_server(by_turn([EDIT, SUBMIT])) as url:
        path = tiny(tmp_path / "source", url)
        run(path, tape=to_record(tmp_path / "tape"))
        with pytest.raises(UsageError, match=r"holds the recording of campaign tiny-.*and this is a new one"):
            run(path, new=True, tape=to_record(tmp_path / "tape"))


def test_the_command_line_records_and_replays_and_shows_the_transcript(tmp_path, loopsmith, key):
    with model_server(by_turn([EDIT, SUBMIT])) as url:
        path = tiny(tmp_path / "source", url)
        assert loopsmith("run", path, "--plain", "--record", tmp_path / "tape").code == 0
    again = loopsmith("run", path, "--plain", "--replay", tmp_path / "tape")
    assert (again.code, "10 -> 15" in again.out) == (0, True)
    both = loopsmith("run", path, "--record", tmp_path / "tape", "--replay", tmp_path / "tape")
    assert both.code == 2
    assert "exclude each other" in both.err
    shown = loopsmith("show", 1, "--transcript", "-w", path)
    lines = shown.out.splitlines()
    assert [line for line in lines if line.startswith("> ")] == [
        """> bash {"command": "sed -i 's/^X=.*/X=15/' program.sh"}""",
        '> submit {"hypothesis": "h", "summary": "s"}',
    ]
    assert any(line.startswith("--- model, turn 2 (") for line in lines)
    assert any("Baseline to beat: 10" in line for line in lines)
    assert any(line.startswith("[exit code 0") for line in lines)


def test_a_candidate_without_a_model_has_no_transcript(tmp_path, loopsmith):
    path = write_source(tmp_path, agent={"kind": "scripted", "commands": ["true"]}, search={"candidates_per_round": 1})
    run(path)
    shown = loopsmith("show", 1, "--transcript", "-w", path)
    assert (shown.code, "candidate 1 has no transcript" in shown.err) == (2, True)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("- Round 2. Left: 7h 59m, 3 rounds, $19.98.", "- Round 2. Left: 8h, 3 rounds, $3.01."),
        ("at 2026-11-21T10:00:01.5Z, in 3.25 s", "at 2027-01-02 23:59, in 120ms"),
        ("commit 8f3a2b1c at 0x7ffee9 in /tmp/a/b.c", "commit 0d9e8f7a6b at 0x1 in /home/user/x/b.c"),
        ("b\na", "a\nb"),
        ("x\n~~~data\n1 failed in 3s\n~~~", "x\n~~~data\nTraceback\n~~~"),
    ],
)  # fmt: skip
def test_what_clocks_places_and_orders_decide_is_not_in_a_key(one, other):
    assert stable_lines(one, fenced=False) == stable_lines(other, fenced=False)


@pytest.mark.parametrize(("one", "other"), [("Round 1", "Round 2"), ("raise X", "lower X"), ("c3 kept", "c4 kept")])
def test_what_is_asked_is_in_a_key(one, other):
    assert stable_lines(one, fenced=False) != stable_lines(other, fenced=False)


def test_the_recording_of_the_repository_names_no_endpoint_and_no_place():
    for file in Path(recorded.FOLDER).iterdir():
        assert "127.0.0.1" not in file.read_text()
        assert "/tmp/pytest" not in file.read_text()
