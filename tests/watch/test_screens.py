"""The view, driven by keys without a terminal: what it shows, finds and asks."""

import asyncio
import json
import re
import sqlite3
from contextlib import closing

import pytest
from textual.screen import Screen

from loopsmith.live import RequestKind
from loopsmith.tracker import open_store
from loopsmith.watch import steering
from loopsmith.watch.detail import Detail

HOSTILE = "[bold red]markup[/] \x1b]0;pwned\x07\x1b[31mred \u202eevil\u2066 \x00\r\n\tend 🏳️‍🌈 {{x}} $(id)"


def asked(source):
    with open_store(source.tracker, read_only=True) as store:
        return [(request.kind, request.data, request.by) for request in store.requests(source.campaign_id)]


def test_a_small_screen_shows_one_tab_at_a_time(drive):
    async def scene(view):
        assert len(view.rows) == 24
        assert all(len(row) == 80 for row in view.rows)
        for words in ("score 10 -> 15", "+50.0 %", "1 now", "2 candidates 4", "rounds", "2 of 2", "15", "●", "q quit"):
            assert words in view.screen, words
        await view.press("2")
        assert re.search(r"c2 +kept +15 +\+50\.0 %", view.screen)
        assert re.search(r"c4 +quarantined +500", view.screen)
        assert "●" not in view.screen
        await view.press("3")
        assert "campaign.ended status=done" in view.screen
        assert re.search(r"c2 +kept .*score", view.screen)
        await view.press("4")
        assert "nobody asked for anything" in view.screen

    drive(scene)


def test_a_wide_screen_shows_the_panes_side_by_side(drive):
    async def scene(view):
        for words in ("●", "c4     quarantined", "now", "budget", "events, newest first", "campaign.ended"):
            assert words in view.screen, words
        assert "1 now" not in view.screen
        await view.press("z")
        assert "─ budget" not in view.screen
        await view.press("z")
        assert "─ budget" in view.screen

    drive(scene, size=(120, 40))


@pytest.mark.parametrize("size", [(40, 10), (1, 1), (200, 60), (20, 50)])
def test_any_size_of_screen_does_and_back_again(drive, size):
    async def scene(view):
        await view.pilot.resize_terminal(*size)
        await view.press("2", "3", "4", "question_mark", "escape", "2", "enter", "2", "escape", "1")
        await view.look()
        assert all(len(row) == size[0] for row in view.rows)
        await view.pilot.resize_terminal(80, 24)
        await view.settle()
        assert "score 10 -> 15" in view.screen

    drive(scene)


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (1, 24)])
def test_a_small_screen_comes_to_rest(drive, monkeypatch, size):
    """A scroll bar that takes the last column changes how lines break, and with it whether it is needed."""
    arranged, arrange = [], Screen._refresh_layout
    monkeypatch.setattr(
        Screen, "_refresh_layout", lambda *args, **options: (arranged.append(size), arrange(*args, **options))
    )

    async def scene(view):
        await view.pilot.resize_terminal(*size)
        await asyncio.sleep(0.3)
        before = len(arranged)
        await asyncio.sleep(0.5)
        assert len(arranged) - before < 5

    drive(scene)


def test_candidates_are_filtered_searched_and_sorted(drive):
    async def scene(view):
        table = view.app.main.table
        await view.press("f")
        assert "quarantined: 1" in view.screen
        await view.press("d")
        await view.until("candidates: discarded, 1 of 2")
        assert "c2 " not in view.screen
        await view.press("escape")
        await view.until("candidates, 1 of 4")
        await view.press("o", "v")
        await view.until("value▼")
        assert [table.row(index).number for index in range(4)] == [4, 2, 1, 3]
        await view.press("o", "v")
        await view.until("value▲")
        assert [table.row(index).number for index in range(4)] == [3, 1, 2, 4]
        await view.press("slash", *"x=15")
        await view.until("with x=15, 1 of 1")
        await view.press("enter", "escape")
        await view.until("1 of 4")
        await view.press("slash", *"nothing-like-it")
        await view.until("none fits")

    drive(scene)


def test_the_cursor_stays_with_its_candidate_when_new_ones_come(drive, source):
    async def scene(view):
        table = view.app.main.table
        await view.press("2", "down", "down")
        assert table.current.number == 2
        with closing(sqlite3.connect(source.tracker)) as connection, connection:
            names = [row[1] for row in connection.execute("PRAGMA table_info(candidate)")]
            new = {"id": f"'{source.campaign_id}.7'", "number": "7"}
            values = ", ".join(new.get(name, name) for name in names)
            connection.execute(f"INSERT INTO candidate SELECT {values} FROM candidate WHERE number = 1")
        with open_store(source.tracker) as store:
            store.record_event(source.campaign_id, "candidate.decided", candidate_id=f"{source.campaign_id}.7")
        await view.look()
        await view.until("of 5")
        assert table.current.number == 2
        await view.press("g")
        assert table.current.number == 7

    drive(scene)


def test_a_candidate_is_shown_with_all_that_is_known(drive):
    async def scene(view):
        await view.press("2", "down", "down", "enter")
        await view.until("kept: ")
        for words in ("hypothesis", "effect", "+50.0 %", "agent", "scripted", "1 about"):
            assert words in view.screen, words
        await view.press("2")
        assert re.search(r"^-X=10", view.screen, re.MULTILINE)
        assert re.search(r"^\+X=15", view.screen, re.MULTILINE)
        await view.press("3")
        assert re.search(r"screen +candidate +pair 0 +score = 15", view.screen)
        await view.press("4")
        assert "no model worked on it" in view.screen
        await view.press("2", "n")
        await view.until("+X=12")
        await view.press("p", "p")
        await view.until("+X=9")
        await view.press("escape")
        assert view.app.main.table.current.number == 3

    drive(scene)


def test_a_transcript_and_the_verifiers_words_are_shown_as_data(drive, source, tmp_path):
    path = tmp_path / "transcript.jsonl"
    said = {"kind": "Completion", "text": "I fuse \x1b[31mloops[/]", "calls": [], "stop": "end", "tokens": None}
    path.write_text(json.dumps(said) + "\n")
    with open_store(source.tracker) as store:
        candidate = store.find_candidate(source.campaign_id, "4")
        store.record_artifact(
            campaign_id=source.campaign_id, candidate_id=candidate.id, kind="transcript", path=path, size=1
        )
        for text in ("old", "[b]row 3[/b]\x07 is read twice"):
            store.record_event(source.campaign_id, "verifier.feedback", candidate_id=candidate.id, text=text)

    async def scene(view):
        await view.press("2", "enter", "4")
        await view.until("model, turn 1")
        assert "I fuse ·[31mloops[/]" in view.screen
        await view.press("3")
        assert "[b]row 3[/b]· is read twice" in view.screen
        assert "old" not in view.screen

    drive(scene)


def test_a_wide_screen_shows_a_patch_beside_the_words(drive):
    async def scene(view):
        await view.press("down", "down", "enter")
        await view.until("kept: ")
        assert "+X=15" in view.screen
        added = next(line for line in view.app.screen.query_one("#patch")._lines if line.plain.startswith("+X=15"))
        assert any("green" in str(span.style) for span in added.spans)

    drive(scene, size=(140, 40))


def test_hostile_text_is_shown_and_never_obeyed(drive, change):
    change("UPDATE candidate SET hypothesis = ?, summary = ?, lesson = ?, agent = ?", *[HOSTILE] * 4)
    change("UPDATE decision SET reason = ?", HOSTILE)
    change("UPDATE campaign SET message = ?, name = ?", HOSTILE, HOSTILE)
    data = '{"reason": "\\u001b[2J[bold]x[/]", "[/]": "\\u202e"}'
    change("UPDATE event SET name = ?, data = ?", HOSTILE, data)

    async def scene(view):
        for keys in (["2"], ["enter"], ["2"], ["3"], ["escape"], ["3"], ["slash", *"[/]", "enter"]):
            await view.press(*keys)
            await view.look()
            assert all(row.isprintable() for row in view.rows)
        await view.press("2", "enter")
        await view.until("[bold red]markup[/]")
        assert "pwned" in view.screen
        assert all(len(row) == 80 for row in view.rows[:-1] if row.isascii())

    drive(scene)


def test_a_hypothesis_of_a_megabyte_is_cut_and_said_to_be(drive, change):
    change("UPDATE candidate SET hypothesis = ?", "all work and no play " * 50_000)

    async def scene(view):
        await view.press("2", "enter")
        await view.until("all work")
        about = view.app.screen.query_one("#about")
        assert "1,045,999 characters more" in about.text
        assert len(about.text) < 10_000

    drive(scene)


def test_without_utf8_everything_is_ascii_and_without_colour_nothing_has_one(drive, monkeypatch):
    async def scene(view):
        await view.press("2", "down", "down", "enter", "2")
        await view.until("+X=15")
        assert view.screen.isascii()
        await view.press("escape", "1")
        assert view.screen.isascii()
        assert "o==" in view.screen
        strips = view.app.screen._compositor.render_strips()
        for each in view.app.get_line_filters():
            strips = [strip.apply_filter(each, view.app.screen.background_colors[1]) for strip in strips]
        styles = [segment.style for strip in strips for segment in strip if segment.style]
        assert all(style.color is None or style.color.is_default for style in styles)
        assert any(style.reverse for style in styles)

    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("NO_COLOR", "1")

    def with_environment(scene):
        drive(scene)

    monkeypatch.setattr(monkeypatch, "delenv", lambda *_, **__: None)
    with_environment(scene)


def test_the_screen_says_who_does_what_since_when_and_holding_what(drive, goes_on):
    goes_on(
        ("c7", "working", "edits kernel.c", (), 7265),
        ("c5", "measuring", "screen run 1", ("core 3",), 3605),
        ("c6", "queued", "waits to be screened", (), 90010),
    )

    async def scene(view):
        for row in (
            r"measuring c5 +1h  core 3, screen run 1",
            r"working +c7 +2h 1m  edits kernel.c",
            r"queued +c6 +1d 1h  waits to be screened",
        ):
            assert re.search(row, view.screen), (row, view.screen)
        assert "now: 1 working, 1 measuring, 1 queued" in view.screen
        assert re.search("about to end: all rounds are done", view.screen)
        assert " running " in view.rows[0]

    drive(scene)


def test_a_campaign_whose_process_is_gone_is_shown_as_such_with_the_command_to_go_on(drive, goes_on):
    goes_on(("c7", "working", "edits", (), 5), process=False)

    async def scene(view):
        assert " interrupted " in view.rows[0]
        assert "loopsmith run" in view.rows[0]
        assert "its process is gone; this is what it did then" in view.screen

    drive(scene, size=(160, 24))


def test_clocks_that_differ_make_no_negative_times(drive, goes_on, change):
    goes_on(("c7", "working", "from the future", (), -3600))
    change("UPDATE campaign SET created_at = datetime('now', '+2 hours')")

    async def scene(view):
        assert re.search(r"c7 +0s  from the future", view.screen)
        assert not re.search(r"-\d+ ?[smh]", view.screen)

    drive(scene)


def test_a_hint_and_a_stop_are_asked_as_the_commands_ask_them(drive, source, goes_on, monkeypatch):
    monkeypatch.setattr(steering, "PATIENCE", 0.1)  # nobody answers here
    goes_on()

    async def scene(view):
        await view.press("s", *"fuse the loops", "enter")
        await view.press("p")
        await view.press("x", "b")
        await view.press("x", "n")
        await view.press("4")
        await view.look()
        for words in ("fuse the loops  waiting", "pause   waiting", "now  waiting"):
            assert words in view.screen, words

    drive(scene)
    assert asked(source) == [
        (RequestKind.STEER, {"text": "fuse the loops"}, "watch"),
        (RequestKind.PAUSE, {}, "watch"),
        (RequestKind.STOP, {"now": True}, "watch"),
    ]


def test_nobody_to_pause_is_said_at_the_foot(drive, source):
    async def scene(view):
        await view.press("p")
        await view.until("no process runs")

    drive(scene)
    assert asked(source) == []


def test_a_review_asks_twice_and_only_of_a_candidate_in_quarantine(drive, source):
    async def scene(view):
        await view.press("2", "down", "a")
        assert "c3 is discarded; only a candidate in quarantine" in view.rows[-1]
        await view.press("up", "d", "enter")
        assert asked(source) == []
        await view.press("d", "y")
        await view.until("c4 ")
        await view.look()
        await view.until("candidates, 1 of 4")
        assert re.search(r"c4 +discarded", view.screen)

    drive(scene)
    ((kind, data, by),) = asked(source)
    assert (kind, by) == (RequestKind.REJECT, "watch")
    assert data["candidate"].endswith(".4")


def test_a_review_works_from_the_candidate_too(drive, source):
    async def scene(view):
        await view.press("2", "enter")
        await view.until("quarantined: ")
        assert isinstance(view.app.screen, Detail)
        await view.press("a", "y")
        await view.until("approved")
        await view.look()
        await view.until(" kept ")
        await view.press("escape")
        await view.until("score 10 -> 500")

    drive(scene)
    ((kind, _, _),) = asked(source)
    assert kind is RequestKind.APPROVE


def test_a_sentence_at_the_foot_of_a_candidate_stays_while_it_is_read_again(drive):
    async def scene(view):
        await view.press("2", "enter")
        await view.until("a approve")
        view.app.tell("what became of it")
        view.app.screen.load()
        await view.until("c4 ")
        await asyncio.sleep(0.3)
        assert "what became of it" in view.screen

    drive(scene)


def test_events_are_searched(drive):
    async def scene(view):
        await view.press("3", "slash", *"c2 kept", "enter")
        await view.until("events with c2 kept")
        rows = [row for row in view.rows if re.match(r"\d\d:\d\d:\d\d", row)]
        assert len(rows) == 1
        assert "c2     kept" in rows[0]
        await view.press("escape")
        await view.until("campaign.ended")

    drive(scene)
