"""The morning report's words: each way in which a campaign can stand reads well, and says what it does not know."""

import shlex
import subprocess
from types import SimpleNamespace

import pytest
from filled import discarded, fill, kept
from support import run, setting_x, write_source

from loopsmith.campaign.state import StateFolder
from loopsmith.errors import BaselineError
from loopsmith.live import RequestKind, RequestStatus
from loopsmith.records import Phase, Run
from loopsmith.report.morning.changes import patch_of
from loopsmith.report.morning.report import morning
from loopsmith.report.progress.figure import legend
from loopsmith.tracker import open_store
from loopsmith.workspace import Repository


def words(it):
    return {fact.name: (fact.words, fact.note) for fact in it.facts}


def said(it, beginning):
    """The one sentence that begins so, with its tone."""
    found = [(item.words, item.tone) for item in it.beliefs if item.words.startswith(beginning)]
    assert len(found) == 1, [item.words for item in it.beliefs]
    return found[0]


def test_a_gain_is_told_with_interval_factor_money_time_and_candidates(store, tell):
    campaign = fill(
        store,
        [kept(90.0, hypothesis="fuse", cost=1.0), discarded(95.0, cost=0.5), {"verdict": "failed"}],
        exact=False,
        repeats={"confirm": 24},
        decide={"alpha": 0.05},
    )
    it = tell(store.add_elapsed(campaign.id, 3900))
    assert it.headline == "seconds went from 100 to 90, 10 % better; 1 change was kept."
    assert words(it)["gain"] == ("+10.0 %", "95 % interval +8.0 % to +12.0 %")
    assert words(it)["seconds"] == ("100 to 90", "1.11 times as good; lower is better")
    assert words(it)["money"] == ("$1.50", "2 model calls; $1.50 for each kept change")
    assert words(it)["time"][0] == "1h 5m"
    assert words(it)["candidates"] == ("3", "1 kept, 1 discarded, 1 failed")
    assert words(it)["on hidden data"] == ("not known", "the workflow has no verify.holdout")
    assert said(it, "One run of seconds scatters by 1 %")[1] == "plain"
    assert said(it, "What was kept was confirmed in 3 pairs of runs")[1] == "good"
    assert "5 % at most" in said(it, "Had no candidate been better")[0]
    assert said(it, "A gain of 2.0 % is found four times in five within 24 pairs")


def test_an_exact_metric_says_so_and_what_was_better_by_too_little(store, tell):
    exact = {"rule": "exact", "effect": (0.1, 0.1, 0.1, 0), "evidence": {}}
    it = tell(fill(store, [kept(90.0) | exact, discarded(89.9)]))
    assert words(it)["gain"] == ("+10.0 %", "the metric repeats exactly")
    assert said(it, "seconds repeats exactly")[1] == "good"
    assert "less than min_effect (1%)" in said(it, "1 candidate looked better")[0]
    assert it.changes[0].evidence[0] == "The metric repeats exactly: +10.0 %; a second run gave the same values."


def test_of_an_exact_metric_what_a_holdout_refused_is_not_laid_to_min_effect_alone(store, tell):
    lost = discarded(50.0, baseline=100.0, rule="holdout", reason="confirmed, but the holdout shows a loss")
    it = tell(fill(store, [lost], verify={"holdout": {"command": "h", "gate": True}}))
    assert "less than min_effect (1%), or with a loss on hidden data" in said(it, "1 candidate looked better")[0]
    assert [entry.words for entry in legend(it.curve)] == ["better, but refused"]


def test_naive_keeps_quarantine_flakes_and_missing_protections_are_said(store, tell, tmp_path):
    campaign = fill(
        store,
        [
            kept(90.0),
            discarded(95.0, first=80.0),
            discarded(80.0, baseline=None),
            {"verdict": "quarantined", "value": 1.0},
        ],
        exact=False,
    )
    store.record_event("c", "verifier.flaked", failures=1)
    store.record_event("c", "verifier.tested", canaries=["a program that is garbage", "the baseline itself"])
    store.record_event("c", "sandbox.missing", reason="no bwrap", not_protected=["commands can use the network"])
    it = tell(campaign)
    assert "would have kept it" in said(it, "1 candidate looked better in a first run")[0]
    assert said(it, "1 other looked better too")
    assert said(it, "1 candidate waits in quarantine")[1] == "warn"
    assert said(it, "1 run of the verifier failed and then passed")[1] == "warn"
    assert "garbage and the baseline itself" in said(it, "Before the first round the verifier refused")[0]
    assert "(no bwrap): commands can use the network" in said(it, "The sandbox was incomplete")[0]
    assert it.verdict.startswith("3 things are against it, or not known")
    assert [item.number for item in it.learned.waiting] == [4]
    assert any(f"approve 4 --state {tmp_path} --campaign c" in command.line for command in it.goes_on)


@pytest.mark.parametrize(("after", "tone"), [(85.0, "good"), (99.0, "warn"), (104.0, "warn")])
def test_the_gap_to_hidden_data_is_a_warning_when_half_of_the_gain_is_missing_there(store, tell, after, tone):
    campaign = fill(store, [kept(90.0)], verify={"holdout": {"command": "x"}})
    before = tell(campaign)
    assert said(before, "The holdout was not measured on both ends")[1] == "warn"
    assert words(before)["on hidden data"][0] == "not measured"
    for commit, value in ((campaign.origin_commit, 100.0), (store.campaign("c").baseline_commit, after)):
        hidden = Run(seed=1, metrics={"seconds": value}, seconds=1.0, log=None)
        store.record_run(campaign_id="c", candidate_id=None, commit=commit, phase=Phase.HOLDOUT, pair=0, run=hidden)
    it = tell(store.campaign("c"))
    assert said(it, "On hidden data the gain is")[1] == tone
    assert words(it)["on hidden data"][1] == f"100 to {after:g}"


@pytest.mark.parametrize(
    ("filled", "headline"),
    [
        (
            {"candidates": [], "baseline": (), "status": "failed", "stop_reason": "baseline", "message": "x\n  | tail"},
            "The untouched source did not pass its own verifier, so nothing was tried.",
        ),
        (
            {"candidates": [], "status": "failed", "stop_reason": "noise"},
            "The verifier is too noisy to find anything with, so nothing was tried; seconds is 100 as it was.",
        ),
        ({"candidates": [], "status": "stopped"}, "So far: No candidate is decided; seconds is 100 as it was."),
        (
            {"candidates": [], "baseline": (), "status": "running"},
            "So far: Nothing is measured yet, so nothing is known.",
        ),
        (
            {"candidates": [{"verdict": "crashed"}, {"verdict": "rejected"}]},
            "None of 2 candidates got a score, so nothing was kept; seconds is 100 as it was.",
        ),
        (
            {"candidates": [discarded(101.0)]},
            "Nothing was kept: no candidate of 1 was shown to be better; seconds is 100 as it was.",
        ),
        (
            {"candidates": [{"verdict": "quarantined", "value": 1.0}]},
            "Nothing is kept, but 1 candidate waits for your word; seconds is 100 as it was.",
        ),
    ],
)
def test_a_campaign_without_a_keep_reads_well_too(store, tell, filled, headline):
    it = tell(fill(store, filled.pop("candidates"), **filled))
    assert it.headline == headline
    assert it.take == ()
    assert it.verdict.startswith("There is no gain to believe")
    assert words(it)["gain"] == ("none shown", "")
    assert all(fact.words for fact in it.facts)
    assert it.beliefs
    assert it.ending
    assert it.goes_on


def test_a_failed_campaign_shows_its_message_and_how_to_go_on(store, tell, tmp_path):
    it = tell(fill(store, [], baseline=(), status="failed", stop_reason="baseline", message="exit 1\n  | boom"))
    assert it.problem == "exit 1\n  | boom"
    assert it.goes_on[0].line == f"loopsmith run /project/WORKFLOW.md --state {tmp_path}"


def test_a_running_campaign_and_one_whose_process_is_gone_are_told_apart(store, tell, tmp_path):
    campaign = fill(store, [kept(90.0)], status="running", stop_reason=None)
    running, gone = tell(campaign, process=77), tell(campaign)
    assert (running.state, running.ending) == (
        "running",
        ("It is running now, in process 77; this is how it stands.",),
    )
    assert gone.state == "interrupted"
    assert gone.goes_on[0].line == f"loopsmith run /project/WORKFLOW.md --state {tmp_path}"
    assert running.headline.startswith("So far: seconds went from 100 to 90")


def test_a_paused_campaign_is_told_as_one_that_goes_on_when_it_is_resumed(store, tell, tmp_path):
    campaign = fill(store, [kept(90.0)], status="running", stop_reason=None)
    asked = store.ask(campaign.id, RequestKind.PAUSE, by="terminal")
    store.answer_request(asked.id, RequestStatus.DONE, "paused")
    it = tell(campaign, process=77)
    assert (it.state, it.ending) == ("paused", ("A person paused it, in process 77; this is how it stands.",))
    assert it.goes_on[0].line == f"loopsmith resume --state {tmp_path} --campaign c"
    assert it.headline.startswith("So far: ")


def test_a_gain_of_a_thousand_times_is_no_power_of_ten(store, tell):
    step = {"effect": (1233.5, 1233.5, 1233.5, 0), "rule": "exact", "evidence": {}}
    it = tell(fill(store, [kept(123450.0) | step], direction="maximize"))
    assert it.headline == "seconds went from 100 to 123,450, 123,000 % better; 1 change was kept."
    assert words(it)["seconds"][1] == "1,230 times as good; higher is better"


def test_a_campaign_whose_budget_ended_says_how_to_give_it_more(store, tell, tmp_path):
    campaign = fill(store, [], budget={"candidates": 40})
    assert (
        tell(campaign).goes_on[0].line
        == f"loopsmith run /project/WORKFLOW.md --state {tmp_path} --set budget.candidates=80"
    )


def test_kept_changes_say_what_each_contributed(store, tell, tmp_path):
    first = kept(90.0, effect=(0.1, 0.08, 0.12, 3), hypothesis="fuse", category="less_work", agent="local/m")
    second = kept(72.0, effect=(0.2, 0.18, 0.22, 5), first=60.0)
    one, two = tell(fill(store, [first, second], exact=False)).changes
    assert (one.gain, one.values, two.gain) == ("+10.0 %", "100 to 90", "+20.0 %")
    assert one.share is not None
    assert two.share is not None
    assert one.share + two.share == pytest.approx(1)
    assert one.share < two.share
    assert "less work" in one.facts
    assert "by local/m" in one.facts
    assert two.evidence[0].startswith("Confirmed in 5 pairs of runs with its baseline: +20.0 %")
    assert two.evidence[1] == "Its first run alone had shown +33.3 %."
    assert two.title == "it says nothing of what it does"
    where = f"--state {tmp_path} --campaign c"
    assert one.patch_note == f"Its patch cannot be read here; `loopsmith show 1 {where}` prints it."


def test_categories_failures_and_what_looked_better_are_told_with_examples(store, tell):
    campaign = fill(
        store,
        [
            kept(90.0, category="algorithm", cost=1.0),
            discarded(95.0, first=80.0, category="algorithm", cost=2.0, hypothesis="luck"),
            {"verdict": "rejected", "rule": "guardrail", "reason": "outside of what may change"},
        ],
    )
    tried = tell(campaign).attempts
    assert [(kind.name, kind.tried, kind.kept, kind.best, kind.cost, kind.per_keep) for kind in tried.kinds] == [
        ("algorithm", 2, 1, "+10.0 %, kept", "$3.00", "$3.00"),
        ("by scripted", 1, 0, "not known", "$0.00", "none kept"),
    ]
    assert [(row.verdict, row.why, row.number) for row in tried.failures] == [("rejected", "broke a guardrail", 3)]
    assert [(row.number, row.first, row.measured, row.hypothesis) for row in tried.misses] == [
        (2, "+11.1 %", "-5.6 %", "luck")
    ]


def test_lessons_and_ideas_name_their_candidates_and_each_of_these_is_listed(store, tell):
    campaign = fill(
        store,
        [kept(90.0, lesson="loops dominate", try_next="unroll by 8"), discarded(95.0, try_next="unroll by 8")],
    )
    it = tell(campaign)
    assert [(item.kind, item.text, item.numbers) for item in it.learned.lessons] == [("Found", "loops dominate", (1,))]
    assert [(item.text, item.numbers) for item in it.learned.ideas] == [("unroll by 8", (1,))]
    assert [item.number for item in it.cited] == [1]


def test_a_megabyte_of_text_is_cut_and_says_how_much_it_had(store, tell):
    campaign = fill(store, [kept(90.0, hypothesis="é" * 1_000_000), discarded(95.0, lesson="z" * 1_000_000)])
    it = tell(campaign)
    assert len(it.changes[0].hypothesis) == 2000
    assert it.changes[0].hypothesis_note == "cut here; it has 2,000,000 bytes"
    assert it.learned.lessons[0].text.endswith("(cut here; it has 1,000,000 bytes)")


def test_tables_are_capped_and_point_to_the_export(store, tell, tmp_path):
    campaign = fill(store, [discarded(101.0, first=50.0, category=f"kind {number}") for number in range(60)])
    it = tell(campaign)
    assert (len(it.attempts.kinds), it.attempts.more_kinds) == (15, 45)
    assert (len(it.attempts.misses), it.attempts.more_misses) == (15, 45)
    assert it.export == f"loopsmith export --format csv --state {tmp_path} --campaign c"


def test_a_tracker_elsewhere_is_named(store, tmp_path):
    it = morning(store, fill(store, []), None, state=tmp_path / "elsewhere")
    assert f"--state {tmp_path / 'elsewhere'} --tracker {tmp_path / 'tracker.db'} --campaign c" in it.export


def told(path):
    """The report of the campaign of a workflow."""
    state = StateFolder(path.parent / ".loopsmith")
    with open_store(state.tracker, read_only=True) as store:
        campaign = store.campaigns()[0]
        return morning(store, campaign, Repository.open(state.root), state=state.root)


@pytest.mark.parametrize("git", [True, False])
def test_the_commands_that_take_it_take_it(tmp_path, loopsmith, git):
    path = write_source(tmp_path / "my source", agent=setting_x(12, 11), search={"workers": 1})
    if git:
        line = "git init -q && git add . && git -c user.name=a -c user.email=a@b commit -qm start"
        subprocess.run(line, shell=True, cwd=path.parent, check=True)
    run(path)
    it = told(path)
    assert [line.text for line in it.changes[0].patch if line.kind in ("added", "removed")] == ["-X=10", "+X=12"]
    (path.parent / ".loopsmith" / "reports" / it.campaign).mkdir(parents=True)
    for command in it.take:
        program, *arguments = shlex.split(command.line)
        if program == "loopsmith":
            assert loopsmith(*arguments).code == 0
        else:
            subprocess.run([program, *arguments], cwd=tmp_path, check=True, capture_output=True)
    assert "X=12" in (path.parent / "program.sh").read_text()


def test_a_baseline_that_fails_leaves_a_report_of_it(tmp_path):
    path = write_source(tmp_path / "source", command="echo broken; exit 3", agent=setting_x(1))
    with pytest.raises(BaselineError):
        run(path)
    it = told(path)
    assert it.headline == "The untouched source did not pass its own verifier, so nothing was tried."
    assert "broken" in it.problem


def test_what_ends_no_line_of_a_patch_ends_none_in_the_report():
    patch = "--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a\r\n+b\x0cc\u2028-d\n"
    repository = SimpleNamespace(parent=lambda commit: "p", diff=lambda one, other: patch)
    shown, note = patch_of(repository, SimpleNamespace(number=1, commit="c"), 1000, "")
    lines = [(line.kind, line.text) for line in shown[3:]]
    assert (lines, note) == ([("removed", "-a"), ("added", "+b\ufffdc\ufffd-d")], "")
