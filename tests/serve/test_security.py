"""Who is answered, and what no value of others can do to a page."""

import os
from html.parser import HTMLParser

import pytest
from serving import TOKEN, decide, fill, served, start

from loopsmith.errors import UsageError
from loopsmith.records import Phase, Run, Slot, Verdict
from loopsmith.serve.server import access_for, listen, read_token
from loopsmith.tracker import open_store

BEARER = {"authorization": f"Bearer {TOKEN}"}


# --- whose page it is


OURS = ("localhost", "LOCALHOST:9000", "127.0.0.1:1", "127.9.9.9", "[::1]:8765")
STRANGE = ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.1.5", "", "a@localhost", "[::")
FOREIGN = (
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:1"},
    {"sec_fetch_site": "cross-site"},
    {"sec_fetch_site": "same-site", "sec_fetch_mode": "cors"},
)


def test_the_names_of_this_machine_are_answered(client):
    assert [client.ask("/", host=host).status for host in OURS] == [200] * len(OURS)


def test_another_name_is_refused_so_that_a_strangers_domain_cannot_point_here(client):
    for host in STRANGE:
        for path in ("/", "/api/v1/campaigns", "/static/style.css", "/metrics"):
            assert client.ask(path, host=host).status in (400, 403), (host, path)


def test_another_sites_page_may_not_ask(client):
    for headers in FOREIGN:
        for path in ("/live", "/api/v1/campaigns", "/api/v1/campaigns/c/events/stream"):
            assert client.ask(path, **headers).status == 403, (headers, path)


def test_a_form_of_the_page_itself_is_known_by_what_the_browser_says(serve, state):
    client = serve(state, control=True)
    form = {"token": TOKEN, "next": "/c/c"}
    assert client.post("/login", form, origin="null", sec_fetch_site="same-origin").status == 303
    assert client.post("/login", form, origin="null").status == 403
    assert client.post("/login", form, origin="null", sec_fetch_site="cross-site").status == 403
    assert client.post("/login", form, origin="null", sec_fetch_site="none").status == 403
    assert client.post("/login", form, origin="http://evil.example", sec_fetch_site="same-origin").status == 403


def test_a_link_from_another_site_may_be_followed(client):
    assert client.ask("/c/c", sec_fetch_site="cross-site", sec_fetch_mode="navigate").status == 200


def test_every_answer_says_what_browsers_may_do_with_it(client):
    for path in ("/", "/c/c", "/c/nobody", "/api/v1/campaigns", "/static/page.js", "/metrics", "/c/c/1/show.txt"):
        headers = client.ask(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy, path
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers
    assert "default-src" in client.ask("/", host="evil.example").headers["content-security-policy"]


# --- the token


def test_a_page_that_only_shows_takes_no_action_whatever_comes_with_it(client):
    assert client.post("/c/c/ask", {"kind": "pause"}).status == 403
    assert client.send("/api/v1/campaigns/c/requests", {"kind": "pause"}, origin=client.url, **BEARER).status == 403
    assert client.ask("/c/c", "DELETE", origin=client.url).status == 405


def test_an_action_needs_the_token_and_its_own_page(serve, state):
    client = serve(state, control=True)
    wish = {"kind": "steer", "data": {"text": "fuse"}}
    address = "/api/v1/campaigns/c/requests"
    assert client.ask("/c/c").status == 200
    assert client.send(address, wish).status == 403  # nobody says where it comes from
    assert client.send(address, wish, origin=client.url).status == 401
    assert client.send(address, wish, authorization="Bearer wrong-token", origin=client.url).status == 401
    assert client.send(address, wish, origin="http://evil.example", **BEARER).status == 403
    assert client.send(address, wish, **BEARER).status == 202
    cookie = client.post("/login", {"token": TOKEN, "next": "/c/c"}).headers["set-cookie"]
    assert "httponly" in cookie.lower()
    assert "samesite=strict" in cookie.lower()
    assert TOKEN not in cookie
    given = cookie.partition(";")[0]
    form = {"kind": "steer", "text": "fuse the loops"}
    assert client.post("/c/c/ask", form, cookie=given, origin="http://localhost:1").status == 403
    body, kind = b"kind=steer&text=x", "application/x-www-form-urlencoded"
    assert client.ask("/c/c/ask", "POST", body, cookie=given, content_type=kind).status == 403
    assert client.post("/c/c/ask", form, cookie=given).status == 303
    assert client.post("/c/c/ask", form, cookie=given[:-1]).status == 401
    page = client.ask("/c/c", cookie=given).text
    assert "Sign out" in page
    assert "steer: fuse the loops" in page
    assert 'name="kind" value="pause"' in page
    assert 'name="kind" value="pause"' not in client.ask("/c/c").text


def test_a_private_page_shows_nothing_without_the_token(serve, state):
    client = serve(state, private=True)
    for path in ("/", "/c/c", "/api/v1/campaigns", "/metrics", "/live", "/api/v1/openapi.json"):
        refused = client.ask(path)
        assert refused.status == 401, path
        assert b"faster" not in refused.body
        if path not in ("/live",):
            assert client.ask(path, **BEARER).status == 200, path
    assert client.ask("/static/style.css").status == client.ask("/login").status == 200


@pytest.mark.parametrize("next_", ["//evil.example", "https://evil.example", "/\\evil.example", "", "/a\r\nX: y"])
def test_signing_in_leads_nowhere_else(serve, state, next_):
    client = serve(state, control=True)
    assert client.post("/login", {"token": TOKEN, "next": next_}).headers["location"] == "/"
    wrong = client.post("/login", {"token": "not it", "next": next_})
    assert wrong.status == 401
    assert "set-cookie" not in wrong.headers


def test_what_is_too_large_or_of_another_kind_is_not_read(serve, state):
    client = serve(state, control=True)
    assert (
        client.ask(
            "/login", "POST", b"x" * 70_000, content_type="application/x-www-form-urlencoded", origin=client.url
        ).status
        == 413
    )
    assert client.ask("/login", "POST", b"{}", content_type="text/plain", origin=client.url).status == 415


def test_others_need_a_token_before_the_server_starts(tmp_path):
    with pytest.raises(UsageError, match="--token-file PATH, or set LOOPSMITH_TOKEN"):
        access_for("0.0.0.0", 1, control=False, given=None)
    access = access_for("0.0.0.0", 1, control=False, given=TOKEN)
    assert access.private
    assert access.knows("192.168.1.5:8765")
    assert not access.knows("evil.example")
    short = tmp_path / "token"
    short.write_text("1234567\n")
    with pytest.raises(UsageError, match="needs 8 letters"):
        read_token(short, None)
    with pytest.raises(UsageError, match="cannot be read: no such file"):
        read_token(tmp_path / "none", None)
    short.write_text("12345678\n")
    assert read_token(short, "of the environment") == "12345678"
    assert read_token(None, None) is None


def test_a_taken_port_and_a_strange_host_are_each_one_line():
    with listen("127.0.0.1", 0) as taken, pytest.raises(UsageError, match=r"is taken; .*--port 0") as error:
        listen("127.0.0.1", taken.getsockname()[1])
    assert "\n" not in str(error.value)
    with pytest.raises(UsageError, match="no address of this machine"):
        listen("203.0.113.77", 0)


# --- what a candidate writes

EVIL = (
    '<script>alert(1)</script>"><img src=x onerror=alert(2)>\'"</textarea></title></style>'
    "<a href='javascript:alert(3)'>x</a>{{ 7 * 7 }}{% raw %}]]>--><svg onload=alert(4)>"
    "\u202eright to left\u2066\u200b\x00\x07\x1b[31mred\x9b\ufeff\U000e0041\u2028end"
)


class Watcher(HTMLParser):
    """What a browser would run, or be led to."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.wrong: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name.startswith("on") or name == "style" or ("javascript:" in (value or "") and name != "value"):
                self.wrong.append(f"{tag} {name}={value}")
        if tag == "script" and dict(attrs).get("src") != "/static/page.js":
            self.wrong.append(tag)
        if tag in ("img", "iframe", "object", "embed", "base", "style"):
            self.wrong.append(tag)


@pytest.fixture
def hostile(tmp_path):
    """A campaign in which every text that others write is hostile, and logs that lie elsewhere."""
    state = tmp_path / ".loopsmith"
    logs = state / "artifacts"
    logs.mkdir(parents=True)
    (logs / "log.txt").write_text(EVIL.replace("\x00", ""))
    (tmp_path / "secret.txt").write_text("the secret")
    (logs / "link.txt").symlink_to(tmp_path / "secret.txt")
    os.mkfifo(logs / "pipe")
    paths = [logs / "log.txt", tmp_path / "secret.txt", logs / ".." / ".." / "secret.txt", logs / "link.txt"]
    paths += [logs / "pipe", logs, logs / "gone.txt"]
    with open_store(state / "tracker.db") as store:
        fill(store, state, words=EVIL, name=EVIL, workflow_path=EVIL)
        for path in paths:
            store.record_artifact(campaign_id="c", candidate_id="c.1", kind="log", path=path, size=1)
        run = Run(seed=1, metrics={EVIL: 2.0}, seconds=1.0, log=None)
        store.record_run(campaign_id="c", candidate_id="c.1", commit="x", phase=Phase.CONFIRM, pair=9, run=run)
        store.record_event("c", "verifier.feedback", candidate_id="c.1", text=EVIL, **{EVIL: EVIL})
        store.record_event("c", EVIL, candidate_id="c.1")
    return state


PAGES = ("/", "/c/c", "/c/c?across=time", "/c/c/1", "/c/c/3", "/c/c/4", "/c/c/candidates", "/c/c/memory", "/c/c/events")


def test_nothing_that_others_wrote_is_more_than_text(serve, hostile):
    client = serve(hostile)
    for path in (*PAGES, "/c/c/compare?a=1&b=4", "/c/c/candidates?search=%3Cscript%3E%22"):
        answer = client.whole(path)
        assert answer.status == 200, path
        assert not Watcher(answer.text).wrong, path
        for hidden in "\u202e\u2066\u200b\x00\x07\x1b\x9b\ufeff\U000e0041\u2028":
            assert hidden not in answer.text, (path, hidden)
    page = client.ask("/c/c/1").text
    assert "&lt;script&gt;alert(1)" in page
    assert "[U+202E]right to left" in page
    assert "{{ 7 * 7 }}" in page


def test_metrics_stay_one_line_a_sample_whatever_a_campaign_is_called(serve, hostile):
    lines = serve(hostile).ask("/metrics").text.splitlines()
    assert all(line.startswith(("# ", "loopsmith_")) for line in lines if line), lines


def test_only_logs_that_the_tracker_names_inside_of_the_state_folder_are_read(serve, hostile):
    client = serve(hostile)
    log = client.ask("/c/c/1/files/0")
    assert log.status == 200
    assert log.headers["content-type"] == "text/plain; charset=utf-8"
    assert log.headers["x-content-type-options"] == "nosniff"
    assert log.text.startswith("<script>")
    for index in range(1, 9):
        answer = client.ask(f"/c/c/1/files/{index}")
        assert answer.status == 404, index
        assert b"the secret" not in answer.body
    for path in (
        "/c/c/1/files/..%2f..%2fsecret.txt",
        "/static/../../answers.py",
        "/static/%2e%2e/answers.py",
        "/c/c/1/files/-1",
    ):
        assert client.ask(path).status == 404, path


def test_a_hypothesis_of_a_megabyte_makes_no_page_of_a_megabyte(serve, tmp_path):
    state = tmp_path / ".loopsmith"
    state.mkdir()
    with open_store(state / "tracker.db") as store:
        start(store, state)
        slots = [Slot(seed=1, agent="tuner")]
        _, (candidate,) = store.plan_round("c", task_id="c.t1", baseline_commit="0" * 40, slots=slots)
        decide(store, candidate, Verdict.KEPT, value=1.1, words="x" * 1_000_000)
    client = serve(state)
    for path in ("/", "/c/c", "/c/c/1", "/c/c/candidates", "/c/c/memory", "/c/c/events", "/c/c/compare?a=1&b=1"):
        assert len(client.ask(path).body) < 100_000, path
    assert "more characters]" in client.ask("/c/c/1").text
    assert len(client.ask("/c/c/1/show.txt").body) > 1_000_000
    assert len(client.ask("/api/v1/campaigns/c/candidates/1").json()["candidate"]["hypothesis"]) == 1_000_000


def test_a_server_that_ends_closes_its_streams(state):
    with served(state) as client, client.stream("/live?topic=c") as stream:
        assert stream.readline().startswith(b"retry")
    # `served` waits for the end of the server, which this stream did not hold up
