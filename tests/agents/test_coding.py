"""Coding agents as programs: their streams, recorded from the real ones, their bills, and the ways they fail."""

import asyncio
import json
import os
import time
from pathlib import Path

import pytest
from agents.player import EDIT, STREAMS, player, recorded, work
from model_worker import Ledger, make_brief

from loopsmith.agents.coding import CodingAgent, presets, program
from loopsmith.agents.coding.price import prices
from loopsmith.agents.model import Tokens
from loopsmith.agents.registry import build
from loopsmith.errors import ProviderError, WorkflowError
from loopsmith.workflow import CliAgent, Settings
from loopsmith.workspace import Sandbox, remove_folder

PRICE = {"input": 1.0, "output": 10.0}
COMMANDS = {name: entry.argv[0] for name, entry in presets().items()}
KEYS = ("CODEX_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY", "COPILOT_GITHUB_TOKEN", "AMP_API_KEY")


@pytest.fixture(autouse=True)
def users(tmp_path, monkeypatch) -> Path:
    """The user's home folder; keys are in the environment, and programs come from the folder `bin`."""
    for name in KEYS:
        monkeypatch.setenv(name, "a-planted-key")
    for name in ("CODEX_HOME", "CLAUDE_CONFIG_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "users"))
    (tmp_path / "users").mkdir()
    monkeypatch.setenv("PATH", os.pathsep.join((str(tmp_path / "bin"), os.environ["PATH"])))
    return tmp_path / "users"


@pytest.fixture
def play(tmp_path):
    return lambda name, *commands: player(tmp_path / "bin", name, *commands)


def step(cost, **more):
    """An event of opencode's: one call of its model."""
    part = {"id": f"p{time.monotonic_ns()}", "cost": cost, "tokens": {"input": 100, "output": 10}, **more}
    return json.dumps({"type": "step_finish", "part": part})


COMPLETED = [
    ("claude", "claude-completed", 58780, 45, 0.177015),
    ("codex", "codex-completed", 20351, 40, 0.020751),
    ("gemini", "gemini-completed", 24784, 48, None),
    ("opencode", "opencode-completed", 15602, 45, 0.016052),
    ("qwen-code", "qwen-completed", 39794, 48, 0.040274),
    ("pi", "pi-completed", 2918, 45, 0.003368),
]


@pytest.mark.parametrize(("name", "stream", "tokens_in", "tokens_out", "dollars"), COMPLETED)
def test_a_recorded_run_is_read_with_its_words_and_its_bill(
    workspace, ledger, play, name, stream, tokens_in, tokens_out, dollars
):
    play(COMMANDS[name], "cat > prompt.seen", recorded(stream), EDIT)
    priced = {} if name in ("claude", "gemini", "opencode", "pi") else {"price": PRICE}
    model = {"model": "gemini-2.5-pro"} if name == "gemini" else {}
    report = work(workspace, ledger, program=name, **priced, **model)
    assert (report.finish_reason, report.error) == ("submitted", "")
    assert report.summary == "X is 15 now; a larger X is better."
    assert "Make it fast." in (workspace.path / "prompt.seen").read_text()
    assert len(ledger.settled) == len(ledger.rows)
    assert sum(row.input_tokens for row in ledger.rows) == tokens_in
    assert sum(row.output_tokens for row in ledger.rows) == tokens_out
    if dollars is not None:
        assert ledger.spent.cost_usd == pytest.approx(dollars)
    assert ledger.spent.cost_usd > 0


FROM_FILES = [
    ("codex", "codex-completed", ".codex/sessions/2026/11/21/rollout.jsonl", "codex-session"),
    ("gemini", "gemini-empty", ".gemini/tmp/work/chats/session.jsonl", "gemini-chat"),
    ("copilot", "copilot-completed", ".copilot/session-state/1/events.jsonl", "copilot-session"),
    ("aider", None, "usage.jsonl", "aider-usage"),
]


@pytest.mark.parametrize(("name", "stream", "path", "recording"), FROM_FILES)
def test_what_a_program_writes_to_its_own_files_is_counted_while_it_runs(
    workspace, ledger, play, name, stream, path, recording
):
    seen = workspace.scratch / "seen"
    play(
        COMMANDS[name],
        f'mkdir -p "$HOME/{os.path.dirname(path)}"; {recorded(recording)} > $HOME/{path}',
        f"until test -e {seen}; do sleep 0.05; done",  # it is counted before the program ends
        recorded(stream) if stream else "echo plain words",
        EDIT,
    )

    class Watching(Ledger):
        def settle(self, row, usage):
            super().settle(row, usage)
            seen.touch()

    watching = Watching()
    work(workspace, watching, program=name, price=PRICE, silence="20s")
    assert sum(row.input_tokens for row in watching.rows) >= {"aider": 919}.get(name, 13_000)
    assert watching.spent.cost_usd > 0


@pytest.mark.parametrize(
    "trap",
    [
        'ln -s x.jsonl "$HOME/.codex/sessions/a/x.jsonl"',  # a circle
        'cd "$HOME/.codex/sessions"; for n in $(seq 1500); do mkdir d; cd -P d; done',
    ],
)
def test_links_in_a_circle_and_folders_without_end_among_its_files_end_nothing(workspace, ledger, play, trap):
    play(
        "codex",
        f'mkdir -p "$HOME/.codex/sessions/a"; ({trap}); {recorded("codex-session")} > $HOME/.codex/sessions/a/y.jsonl',
        recorded("codex-completed"),
        EDIT,
    )
    try:
        report = work(workspace, ledger, program="codex", price=PRICE)
    finally:
        remove_folder(workspace.home)  # pytest cannot
    assert report.finish_reason == "submitted"
    assert ledger.spent.cost_usd > 0


FAILED = [
    ("codex", "codex-failed", 1, "codex failed: We’re currently experiencing high demand"),
    ("claude", "claude-refused", 1, "claude refuses: API Error: Claude Code is unable to respond"),
    ("opencode", "opencode-refused", 1, "opencode refuses"),
    ("pi", "pi-refused", 0, "pi refuses: Provider finish_reason: content_filter"),
    ("gemini", "gemini-empty", 1, "gemini failed: The model returned an empty response"),
    ("copilot", "copilot-empty", 1, "copilot failed: No response was returned."),
    ("qwen-code", "qwen-empty", 0, "qwen-code failed: [API Error: Model stream ended with empty response text.]"),
]


@pytest.mark.parametrize(("name", "stream", "code", "said"), FAILED)
def test_a_recorded_failure_is_told_in_the_programs_own_words(workspace, ledger, play, name, stream, code, said):
    play(COMMANDS[name], recorded(stream), f"exit {code}")
    report = work(workspace, ledger, program=name, price=PRICE)
    assert report.finish_reason == "error"
    assert report.error.startswith(said)


WRONG_KEY = [
    ("codex", "codex-wrong_key", "unexpected status 401"),
    ("claude", "claude-not_logged_in", "Not logged in"),
    ("opencode", "opencode-wrong_key", "invalid x-api-key"),
    ("gemini", "gemini-wrong_key", "invalid x-api-key"),
    ("copilot", "copilot-wrong_key", "Authentication failed"),
    ("qwen-code", "qwen-wrong_key", "401 invalid x-api-key"),
    ("qwen-code", "qwen-not_logged_in", "Missing API key"),
    ("pi", "pi-wrong_key", "401 invalid x-api-key"),
]


@pytest.mark.parametrize(("name", "stream", "said"), WRONG_KEY)
def test_a_program_that_cannot_log_in_stops_the_campaign_and_no_candidate_is_blamed(
    workspace, ledger, play, name, stream, said
):
    play(COMMANDS[name], recorded(stream), "exit 1")
    with pytest.raises(ProviderError, match=f"{name} cannot log in .*{said}.*run again"):
        work(workspace, ledger, program=name, price=PRICE)


def test_an_exit_code_can_say_that_it_is_not_logged_in(workspace, ledger, play):
    play("gemini", "echo 'Invalid auth method selected.' >&2", "exit 41")
    with pytest.raises(ProviderError, match=r"gemini cannot log in .* GEMINI_API_KEY"):
        work(workspace, ledger, program="gemini", price=PRICE)


@pytest.mark.parametrize("name", ["codex", "pi", "claude"])
def test_a_rate_limit_is_waited_out_and_the_program_started_again(workspace, ledger, play, monkeypatch, name):
    monkeypatch.setattr(program, "PAUSE", 0.01)
    first = workspace.scratch / "first"
    play(
        COMMANDS[name],
        f"if test ! -e {first}; then touch {first}; {recorded(f'{name}-rate_limited')}; exit 1; fi",
        recorded(f"{name}-completed"),
        EDIT,
    )
    report = work(workspace, ledger, program=name, price=PRICE)
    assert report.finish_reason == "submitted"
    assert len(ledger.paused) == 1


def test_a_rate_limit_that_ends_at_once_and_does_not_is_one_without_an_end(workspace, ledger, play, monkeypatch):
    monkeypatch.setattr(program, "PAUSE", 3000)
    limited = {"when": {"type": "limit"}, "means": "rate_limited", "retry_after": "wait"}
    first = workspace.scratch / "first"
    turned = f"echo '{json.dumps({'type': 'limit', 'wait': 0})}'; exit 1"
    play("codex", f"if test ! -e {first}; then touch {first}; {turned}; fi", EDIT)
    with pytest.raises(ProviderError, match="codex is rate limited"):
        work(workspace, ledger, argv=["codex"], usage={"events": [limited]})


def test_a_rate_limit_longer_than_a_worker_may_wait_stops_the_campaign(workspace, ledger, play, monkeypatch):
    monkeypatch.setattr(program, "PAUSE", 2000.0)
    play("codex", recorded("codex-rate_limited"), "exit 1")
    with pytest.raises(ProviderError, match=r"codex is rate limited .*run again later"):
        work(workspace, ledger, program="codex", price=PRICE)
    assert ledger.paused == []


def test_a_refused_and_an_empty_answer_without_a_change_are_no_crash(workspace, ledger, play):
    play("codex", recorded("codex-empty"))
    report = work(workspace, ledger, program="codex", price=PRICE)
    assert (report.finish_reason, report.error, report.summary) == ("submitted", "", "")


def test_a_program_that_is_not_installed_says_how_to_install_it(workspace, ledger, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with pytest.raises(WorkflowError, match=r"`codex` is not installed .*npm install -g @openai/codex"):
        work(workspace, ledger, program="codex")


def test_a_program_without_a_login_says_how_to_log_in(workspace, ledger, play, monkeypatch):
    play("codex", "true")
    for name in KEYS:
        monkeypatch.delenv(name)
    with pytest.raises(WorkflowError, match="`codex` is not logged in; run `codex login`, or set CODEX_API_KEY"):
        work(workspace, ledger, program="codex")


def test_a_preset_that_does_not_exist_is_named_with_the_nearest():
    with pytest.raises(WorkflowError, match=r"no preset `codx`; did you mean `codex`\?"):
        CodingAgent(CliAgent(kind="cli", program="codx"))


def test_the_login_is_copied_and_the_users_own_stays_as_it_is(workspace, ledger, play, users, monkeypatch):
    monkeypatch.delenv("CODEX_API_KEY")
    monkeypatch.delenv("OPENAI_API_KEY")
    login = users / ".codex/auth.json"
    login.parent.mkdir()
    login.write_text('{"tokens": {"access_token": "a-very-secret-access-token"}}')
    play(
        "codex",
        'cat "$HOME/.codex/auth.json" > login.seen; echo changed > "$HOME/.codex/auth.json"',
        'echo \'{"type": "item.completed", "said": "a-very-secret-access-token"}\'',
        recorded("codex-completed"),
    )
    report = work(workspace, ledger, program="codex", price=PRICE)
    assert "a-very-secret" in (workspace.path / "login.seen").read_text()
    assert "a-very-secret" in login.read_text()
    assert "a-very-secret" not in report.transcript.read_text()
    workspace.remove()
    assert not workspace.home.exists()


def test_a_program_that_says_nothing_is_ended_with_all_that_it_started(workspace, ledger, play, tmp_path):
    play("codex", f"setsid sleep 1234 & echo $! > {tmp_path}/child", "sleep 1234")
    report = work(workspace, ledger, program="codex", price=PRICE, silence="1s")
    assert report.error == "codex said nothing for 1s and was ended"
    assert not Path(f"/proc/{(tmp_path / 'child').read_text().strip()}").exists()


def test_a_server_that_a_program_leaves_running_is_ended(workspace, ledger, play, tmp_path):
    play("codex", f"setsid sleep 1234 & echo $! > {tmp_path}/child", recorded("codex-completed"))
    assert work(workspace, ledger, program="codex", price=PRICE).finish_reason == "submitted"
    assert not Path(f"/proc/{(tmp_path / 'child').read_text().strip()}").exists()


def test_a_worker_that_is_cancelled_leaves_no_program_and_an_open_call_stays_counted(workspace, play, tmp_path):
    play("opencode", f"echo $$ > {tmp_path}/pid", f"echo '{step(0.1)}'", f"touch {tmp_path}/begun; sleep 1234")
    agent = CodingAgent(CliAgent(kind="cli", program="opencode"))
    ledger = Ledger()

    async def cancelled():
        task = asyncio.create_task(agent.work(make_brief(), workspace, ledger))
        while ledger.spent.cost_usd < 0.1:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()
    assert len(ledger.settled) == len(ledger.rows)
    assert ledger.spent.cost_usd == pytest.approx(0.2)


def test_a_limit_of_wall_clock_ends_it(workspace, ledger, play):
    play("codex", 'echo \'{"type": "turn.started"}\'; sleep 1234')
    report = work(workspace, ledger, make_brief(wall_clock=1.0), program="codex", price=PRICE)
    assert (report.finish_reason, report.error) == ("wall_clock", "")


def test_a_limit_of_money_ends_it_before_the_next_call(workspace, play, tmp_path):
    play("opencode", *(f"echo '{step(0.1)}'; sleep 0.3" for _ in range(8)), f"touch {tmp_path}/ended")
    ledger = Ledger(cost_usd=0.35)
    report = work(workspace, ledger, program="opencode")
    assert (report.finish_reason, report.error) == ("cost_usd", "")
    assert not (tmp_path / "ended").exists()
    assert 0.3 <= ledger.spent.cost_usd <= 0.45


def test_a_limit_of_money_that_is_met_already_starts_nothing(workspace, play, tmp_path):
    play("codex", f"touch {tmp_path}/begun")
    report = work(workspace, Ledger(cost_usd=0.001), program="codex", price=PRICE)
    assert report.finish_reason == "cost_usd"
    assert not (tmp_path / "begun").exists()


def test_a_limit_of_turns_ends_it(workspace, ledger, play):
    play("opencode", *(f"echo '{step(0.1)}'; sleep 0.2" for _ in range(5)), "sleep 1234")
    report = work(workspace, ledger, make_brief(turns=2), program="opencode")
    assert report.finish_reason == "turns"


def test_ten_megabytes_in_a_line_are_left_out_and_what_follows_is_read(workspace, ledger, play):
    play("codex", "head -c 10000000 /dev/zero | tr '\\0' x; echo", recorded("codex-completed"))
    report = work(workspace, ledger, program="codex", price=PRICE)
    assert (report.finish_reason, report.summary) == ("submitted", "X is 15 now; a larger X is better.")


def test_what_is_not_utf_8_is_read_as_far_as_it_is_text(workspace, ledger, play):
    item = '{"type": "item.completed", "item": {"id": "i", "type": "agent_message", "text": "gr\\377n"}}'
    play("codex", f"printf '%b\\n' '{item}'", "printf '\\377\\376\\n'", 'echo \'{"type": "turn.completed"}\'')
    report = work(workspace, ledger, program="codex", price=PRICE)
    assert (report.finish_reason, report.summary) == ("submitted", "gr\ufffdn")


@pytest.mark.parametrize("garbage", ["echo hello", "echo '[1, 2]'", "echo '{\"a\": 1e999}'", "true"])
def test_a_program_that_prints_no_known_event_is_told_with_its_last_words(workspace, ledger, play, garbage):
    play("codex", garbage, "echo 'error: unexpected argument --json' >&2", "exit 2")
    report = work(workspace, ledger, program="codex", price=PRICE)
    assert report.error.startswith("codex printed no event that is known (")
    assert report.error.endswith("it ended with exit code 2); it last said: error: unexpected argument --json")


def test_a_program_that_wants_a_terminal_gets_none(workspace, ledger, play):
    play("codex", "read answer < /dev/tty || exit 1")
    report = work(workspace, ledger, program="codex", price=PRICE)
    assert "codex printed no event" in report.error
    assert "/dev/tty" in report.error


def test_a_stream_that_breaks_off_is_a_failure(workspace, ledger, play):
    play("codex", f"head -n 3 {STREAMS}/codex-completed.jsonl")
    report = work(workspace, ledger, program="codex", price=PRICE)
    assert report.error == "codex ended with exit code 0 without saying that it was done"


@pytest.mark.skipif(not Sandbox.detect("auto").available, reason="no bubblewrap here")
def test_a_program_cannot_write_outside_its_folders(workspace, ledger, play, tmp_path):
    workspace.sandbox = Sandbox.detect("auto", read=[STREAMS])
    outside = tmp_path / "outside"
    outside.mkdir()
    play("codex", f"echo x > {outside}/made", 'echo x > "$HOME/made"', recorded("codex-completed"), EDIT)
    report = work(workspace, ledger, program="codex", price=PRICE)
    assert report.finish_reason == "submitted"
    assert not (outside / "made").exists()
    assert (workspace.home / "made").exists()
    assert "faster" in (workspace.path / "src/kernel.c").read_text()


def test_a_program_that_wants_a_person_is_ended_at_once(workspace, ledger, play):
    rule = {"when": {"kind": "asks"}, "means": "needs_person", "message": "what"}
    play("my-agent", 'echo \'{"kind": "asks", "what": "may I?"}\'', "sleep 1234")
    report = work(workspace, ledger, argv=["my-agent"], usage={"events": [rule]})
    assert report.error == "my-agent wants a person: may I?; nobody is there to answer"


def test_a_home_full_of_links_and_pipes_leads_nowhere(workspace, ledger, play, tmp_path, users, monkeypatch):
    monkeypatch.setattr(program, "PAUSE", 0.01)
    (users / ".codex").mkdir()
    (users / ".codex/auth.json").write_text("{}")
    (tmp_path / "hidden").write_text('{"hypothesis": "hidden"}')
    first = workspace.scratch / "first"
    play(
        "codex",
        f"if test ! -e {first}; then touch {first}",
        f'rm -rf "$HOME/.codex"; ln -s {users}/.codex "$HOME/.codex"; {recorded("codex-rate_limited")}; exit 1; fi',
        f'ln -s {tmp_path}/hidden "$LOOPSMITH_REPORT"; mkdir -p "$HOME/.codex/sessions"',
        'mkfifo "$HOME/.codex/sessions/a.jsonl"; rm "$HOME/errors.log"; mkfifo "$HOME/errors.log"',
        recorded("codex-completed"),
        "exit 3",
    )
    report = work(workspace, ledger, program="codex", price=PRICE, files={".codex/config.toml": "src/kernel.c"})
    assert report.finish_reason == "submitted"
    assert report.hypothesis != "hidden"
    assert [path.name for path in (users / ".codex").iterdir()] == ["auth.json"]


def test_what_a_program_writes_down_is_its_report(workspace, ledger, play):
    words = json.dumps({"hypothesis": "unroll by 8", "lesson": "registers are few", "more": 1})
    play("codex", f"echo '{words}' > \"$LOOPSMITH_REPORT\"", recorded("codex-completed"))
    report = work(workspace, ledger, program="codex", price=PRICE)
    assert (report.hypothesis, report.lesson) == ("unroll by 8", "registers are few")
    assert report.summary == "X is 15 now; a larger X is better."


OWN = {
    "events": [
        {"when": {"kind": "step"}, "turn": True, "input": "used.in", "output": "used.out", "text": "says"},
        {"when": {"kind": "end", "ok": True}, "means": "completed"},
        {"when": {"kind": "end"}, "means": "failed", "message": "why"},
    ]
}


def test_a_program_of_ones_own_needs_no_code(workspace, ledger, play):
    play(
        "my-agent",
        'test "$1" = --task && cp "$2" prompt.seen; test "$3" = --home && test "$4" = "$HOME" || exit 3',
        'echo \'{"kind": "step", "used": {"in": 1000, "out": 100}, "says": "faster now"}\'',
        'echo \'{"kind": "end", "ok": true}\'',
    )
    argv = ["my-agent", "--task", "{prompt_file}", "--home", "{home}"]
    report = work(workspace, ledger, argv=argv, usage=OWN, price=PRICE)
    assert (report.finish_reason, report.summary) == ("submitted", "faster now")
    assert "Make it fast." in (workspace.path / "prompt.seen").read_text()
    assert ledger.spent.cost_usd == pytest.approx((1000 * 1 + 100 * 10) / 1e6)


def test_a_prompt_too_long_for_an_argument_is_read_from_a_file(workspace, ledger, play):
    play("my-agent", 'echo "$1" > prompt.seen', 'echo \'{"kind": "end", "ok": true}\'')
    brief = make_brief("x" * 200_000)
    work(workspace, ledger, brief, argv=["my-agent", "{prompt}"], usage=OWN, price=PRICE)
    seen = (workspace.path / "prompt.seen").read_text()
    assert seen.startswith(f"Read the file {workspace.home}/prompt.md.")
    assert "x" * 200_000 in (workspace.home / "prompt.md").read_text()


def test_a_cost_per_run_is_counted_once_whatever_the_tokens(workspace, ledger, play):
    play("codex", recorded("codex-completed"))
    work(workspace, ledger, program="codex", cost_per_run=0.25)
    assert ledger.spent.cost_usd == pytest.approx(0.25)
    assert sum(row.output_tokens for row in ledger.rows) == 40


@pytest.mark.parametrize(
    ("agent", "model", "dollars"),
    [
        ({"program": "claude"}, "", 2.5),
        ({"program": "opencode", "model": "anthropic/claude-sonnet-4-5"}, "", 2.5),
        ({"program": "opencode"}, "claude-sonnet-4-5", 2.5),
        ({"program": "opencode"}, "openai/gpt-5", 2.0),
        ({"program": "claude", "price": {"input": 2, "written": 3, "output": 8}}, "", 3.0),
    ],
)
def test_tokens_written_to_anthropics_cache_have_its_price_where_the_given_one_does_not_say(agent, model, dollars):
    one = CliAgent(**{"kind": "cli", "price": {"input": 2, "output": 8}, **agent})
    assert prices(one, presets()[agent["program"]])(Tokens(input=10**6, written=10**6), model) == dollars


def settings(agent, **budget):
    front = {"objective": {"metric": "x", "direction": "maximize"}, "workspace": {"editable": ["a"]}}
    verify = {"command": "true"}
    return Settings.model_validate(
        {"name": "n", **front, "verify": verify, "budget": budget, "agent": {"kind": "cli", **agent}}
    )


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ({"program": "amp"}, "agent.cost_per_run: what a run of `amp`"),
        ({"program": "codex"}, "agent.cost_per_run: what a run of `codex` costs is not known .the price of its model"),
        ({"argv": ["x"], "usage": {"events": []}}, "what a run of `x` costs is not known .its output says nothing"),
    ],
)
def test_without_a_price_a_limit_of_money_does_not_start(agent, said):
    for budget in ({"cost_usd": 5.0}, {"per_worker": {"cost_usd": 1.0}}):
        with pytest.raises(WorkflowError, match=said):
            build(settings(agent, **budget))
    build(settings(agent))
    build(settings({**agent, "cost_per_run": 0.5}, cost_usd=5.0))


def test_tokens_that_nobody_can_price_stop_a_campaign_under_a_limit_of_money(workspace, ledger, play):
    play("opencode", f"echo '{step(0)}'", "sleep 1234")
    agent, _ = build(settings({"program": "opencode"}, cost_usd=5.0))
    with pytest.raises(ProviderError, match=r"nobody knows what they cost; give agent.price"):
        asyncio.run(agent.work(make_brief(), workspace, ledger))
