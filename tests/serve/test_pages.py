"""The pages: every one answers, every link leads somewhere, and what is wrong is said."""

import importlib.util
import sqlite3
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from serving import rewrite, start

from loopsmith import report
from loopsmith.campaign.lock import exclusive
from loopsmith.live import Activity, Doing, RequestKind, RequestStatus
from loopsmith.serve import overview
from loopsmith.tracker import open_store, tables

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "serve.py"


class Links(HTMLParser):
    """The addresses that a page leads to, and the ids that it has."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.found += [values[name] or "" for name in ("href", "src", "action") if name in values]
        self.ids += [values["id"] or ""] if "id" in values else []


def crawl(client) -> dict[str, str]:
    """Every page that can be reached by links, with its text."""
    seen: dict[str, str] = {}
    waiting = ["/"]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        answer = client.ask(path)
        assert answer.status == 200, path
        seen[path] = answer.text
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        links = Links(answer.text)
        assert len(links.ids) == len(set(links.ids)), path
        for link in links.found:
            whole = urlsplit(urljoin(client.url + path, link))
            assert whole.netloc == f"127.0.0.1:{client.port}", link
            if link.startswith("#"):
                assert link[1:] in links.ids, (path, link)
            if not whole.path.endswith(("/ask", "/logout", "/login")):
                waiting.append(whole.path + (f"?{whole.query}" if whole.query else ""))
    return seen


def test_every_link_of_every_page_leads_to_a_page_of_this_server(client):
    pages = crawl(client)
    assert {"/", "/c/c", "/c/c/1", "/c/c/6", "/c/c/candidates", "/c/c/memory", "/c/c/events", "/metrics"} <= set(pages)
    assert "/c/c/candidates?status=failed" in pages


def test_the_page_of_a_campaign_says_what_was_gained_and_by_what(client):
    page = client.whole("/c/c").text
    for words in ("+10.0 %", "from 1,", "because of idea 4", "loops like to be fused", "$1.00", "loopsmith approve 4"):
        assert words in page, words
    assert '<a class="c" href="/c/c/1">c1</a>' in page
    assert "data-candidate=" in page  # the curve
    assert "started elsewhere" not in page
    assert page.index('href="/c/c/2"') < page.index('id="newest"')  # the search tree shows where c5 started


def test_the_page_of_a_candidate_has_all_that_show_prints(client, state):
    page, text = client.ask("/c/c/1").text, client.ask("/c/c/1/show.txt")
    assert text.headers["content-type"].startswith("text/plain")
    for words in ("idea 1", "because of idea 1", "lesson of idea 1", "confirm", "loops like to be fused", "$0.20"):
        assert words in page, words
        assert words.removeprefix("$") in text.text or words == "idea 1"
    assert "does not hold this patch" in page
    assert client.ask("/c/c/c1").status == client.ask("/c/c/1").status == client.ask("/c/c/c.1").status == 200


def test_candidates_are_searched_filtered_sorted_and_paged_by_plain_links(client):
    def rows(query: str) -> list[str]:
        text = client.ask(f"/c/c/candidates{query}").text
        return [link.rpartition("-")[2] for link in Links(text).ids if link.startswith("row-")]

    assert rows("") == ["6", "5", "4", "3", "2", "1"]
    assert rows("?sort=value&order=up") == ["2", "5", "1", "4", "6", "3"]
    assert rows("?status=kept&status=failed") == ["3", "1"]
    assert rows("?search=idea+2") == ["2"]
    assert rows("?page=99") == []
    assert rows("?sort=nonsense&order=%00&status=nothing&page=-1") == ["6", "5", "4", "3", "2", "1"]


def test_two_candidates_are_compared(client):
    page = client.ask("/c/c/compare?a=1&b=c4").text
    assert "From c1 to c4" in page
    assert "because of idea 1" in page
    assert "because of idea 4" in page
    assert client.ask("/c/c/compare?a=1").status == 200
    assert client.ask("/c/c/compare?a=1&b=77").status == 404


@pytest.mark.parametrize(
    "path", ["/nothing", "/c/nobody", "/c/c/77", "/c/c/%00", "/c/c/1/patch.diff", "/c/c/1/files/0"]
)
def test_what_is_not_there_is_said_in_a_page(client, path):
    answer = client.ask(path)
    assert answer.status == 404
    assert "<h1>Not here</h1>" in answer.text


def test_a_campaign_whose_process_is_gone_is_shown_with_the_command_to_go_on(client, state):
    page = client.ask("/c/c").text
    assert ">interrupted</span>" in page
    assert f"loopsmith run /project/WORKFLOW.md --state {state}<" in page


def test_a_campaign_that_runs_shows_what_goes_on_even_where_clocks_differ(client, state):
    later = datetime.now(UTC) + timedelta(hours=3)
    doing = Activity(
        campaign_id="c",
        subject="c6",
        candidate_id="c.6",
        doing=Doing.MEASURING,
        text="screening <run>",
        lease=("core 3",),
        since=later,
        updated_at=later,
    )
    with open_store(state / "tracker.db") as store:
        store.set_activity("c", [doing])
        store.ask("c", RequestKind.STEER, {"text": "fuse the loops"}, by="terminal")
    with exclusive(state / "lock"):
        page = client.ask("/c/c").text
        assert ">running</span>" in page
        assert "screening &lt;run&gt;" in page
        assert "core 3" in page
        assert "0s · core 3" in page
        assert "steer: fuse the loops" in page
    assert "core 3" not in client.ask("/c/c").text


def test_a_paused_campaign_has_no_forecast(client, state):
    with exclusive(state / "lock") as note:
        note("c")
        with open_store(state / "tracker.db") as store:
            store.add_elapsed("c", 60)
        assert 'id="ends"' in client.ask("/c/c").text
        with open_store(state / "tracker.db") as store:
            asked = store.ask("c", RequestKind.PAUSE, by="terminal")
            store.answer_request(asked.id, RequestStatus.DONE, "paused")
        page = client.ask("/c/c").text
        assert ">paused</span>" in page
        assert 'id="ends"' not in page


def test_the_page_foresees_the_same_end_as_watch():
    def said(**given):
        parts = {name: {"used": 0, "limit": None} for name in overview.WORDS}
        return overview.ends(
            {"budget": parts | {name: dict(zip(("used", "limit"), each, strict=True)) for name, each in given.items()}}
        )

    early = said(wall_clock=(100, None), candidates=(1, 1000))
    assert early == said() == "No end in sight: no limit, or too early to tell."
    stalled = said(wall_clock=(100, None), rounds=(10, None), stall_rounds=(4, 6))
    assert stalled == "At this pace it ends in about 20s, by its limit of rounds without a keep."


def test_a_budget_of_zero_is_shown_as_used_up():
    rows = overview.budget({"budget": {"cost_usd": {"used": 0.0, "limit": 0.0}, "tokens": {"used": 0, "limit": None}}})
    assert rows == [{"name": "Money", "used": "$0.00", "limit": "$0.00", "share": 100.0}]


def test_a_rate_limit_that_has_passed_since_the_sums_were_made_is_not_shown(state):
    now = datetime.now(UTC)
    limits = {name: (now + timedelta(hours=hours)).isoformat() for name, hours in (("past", -1), ("on", 1))}
    with open_store(state / "tracker.db", read_only=True) as store:
        campaign = store.campaign("c")
        view = report.status(store, campaign)
        view["campaign"]["rate_limited"] = limits
        shown = overview.present(store, view, campaign, None)
    assert shown["campaign"]["rate_limited"] == {"on": limits["on"]}


def test_of_two_campaigns_only_that_runs_which_the_process_runs(client, state):
    with open_store(state / "tracker.db") as store:
        start(store, state, "d", name="slower")
    with exclusive(state / "lock") as note:
        note("d")
        states = {item["id"]: item["status"] for item in client.ask("/api/v1/campaigns").json()}
    assert states == {"c": "interrupted", "d": "running"}
    assert client.ask("/").text.index("slower") < client.ask("/").text.index("faster")
    assert client.ask("/c/d").status == 200  # without any candidate


def test_a_tracker_that_is_gone_is_said_and_found_again(client, state):
    assert client.ask("/c/c").status == 200
    (state / "tracker.db").rename(state / "elsewhere.db")
    page, answer = client.ask("/c/c"), client.ask("/api/v1/campaigns")
    assert page.status == answer.status == 503
    assert "is gone" in page.text
    assert 'data-topic="c"' in page.text
    assert answer.json()["detail"].startswith("the tracker")
    assert client.ask("/metrics").status == 503
    (state / "elsewhere.db").rename(state / "tracker.db")
    assert client.ask("/c/c").status == 200


def test_a_tracker_that_became_newer_is_said(client, state):
    assert client.ask("/c/c").status == 200
    with sqlite3.connect(state / "tracker.db") as connection:
        connection.execute("UPDATE loopsmith_schema SET version_num = '9999'")
    page = client.ask("/c/c")
    assert page.status == 503
    assert "upgrade loopsmith" in page.text


def test_a_tracker_in_the_place_of_another_is_shown(client, state, tmp_path):
    assert client.ask("/c/c").status == 200
    with open_store(tmp_path / "other.db") as store:
        start(store, state, "other", name="another")
    (tmp_path / "other.db").replace(state / "tracker.db")
    for ending in ("-wal", "-shm"):
        Path(f"{state / 'tracker.db'}{ending}").unlink(missing_ok=True)
    assert client.ask("/c/c").status == 404
    assert "another" in client.ask("/").text


def test_a_long_campaign_is_thinned_and_large_sums_are_those_of_sql(serve, tmp_path):
    spec = importlib.util.spec_from_file_location("benchmark", BENCHMARK)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    client = serve(benchmark.make_tracker(tmp_path / "state", 800))
    page = client.whole("/c/bench").text
    assert "+" in page
    assert "800 candidates" in page
    assert client.ask("/c/bench/candidates?page=2").text.count('id="row-') == 50
    rewrite(tmp_path / "state", tables.event.delete())
    assert client.ask("/c/bench/events").status == 200
