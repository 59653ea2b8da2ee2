"""What every tracker promises, whatever database holds it."""

import asyncio
import math
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from loopsmith.errors import IllegalTransition, TrackerError, UsageError
from loopsmith.records import (
    CampaignStatus,
    Candidate,
    Decision,
    Effect,
    Phase,
    Reflection,
    Report,
    Run,
    Slot,
    Spent,
    Status,
    Usage,
    Verdict,
)
from loopsmith.tracker import Store, open_store
from loopsmith.tracker.states import RELEASES, TRANSITIONS, sources

REPORT = Report(finish_reason="submitted", summary="unrolled", hypothesis="unroll by 4", params={"UNROLL": 4})
EFFECT = Effect(mean=0.12, low=0.1, high=0.14, samples=5)


def submit(store: Store, candidate: Candidate, *, tree: str | None = None, commit: str | None = None) -> Candidate:
    n = f"{candidate.number:040x}"
    store.claim(candidate.id)
    return store.submit(candidate.id, commit=commit or n, tree=tree or n, lines_added=3, lines_removed=1, report=REPORT)


def verify(store: Store, candidate: Candidate, value: float = 1.5) -> Candidate:
    submit(store, candidate)
    store.begin_verification(candidate.id)
    return store.screened(candidate.id, value)


def reflection_of(candidate: Candidate, verdict: Verdict, **words: str) -> Reflection:
    words = {"hypothesis": "unroll by 4"} | words
    return Reflection(campaign_id=candidate.campaign_id, candidate_id=candidate.id, outcome=verdict, **words)


def decide(store: Store, candidate: Candidate, verdict: Verdict, **words: str) -> Candidate:
    decision = Decision(verdict=verdict, reason="because", value=1.2, evidence={"pairs": [[1.0, 1.2]]})
    return store.decide(candidate.id, decision, reflection_of(candidate, verdict, **words))


def keep(store: Store, candidate: Candidate, baseline: str = "b" * 40) -> Candidate:
    verify(store, candidate)
    decision = Decision(verdict=Verdict.KEPT, reason="better", rule="exact", effect=EFFECT, value=1.2)
    store.begin_confirmation(candidate.id)
    return store.decide(candidate.id, decision, reflection_of(candidate, Verdict.KEPT), new_baseline=baseline)


def discard(store: Store, candidate: Candidate, **words: str) -> Candidate:
    verify(store, candidate)
    return decide(store, candidate, Verdict.DISCARDED, **words)


class TestCampaigns:
    def test_a_started_campaign_reads_back_as_it_was_returned(self, store, start):
        started = start(store, settings={"a": [1, None, {"é": True}]})
        assert started == store.campaign("c") == store.campaigns()[0]
        assert started.status is CampaignStatus.RUNNING
        assert started.settings == {"a": [1, None, {"é": True}]}
        assert started.baseline_commit == started.origin_commit
        assert started.created_at.tzinfo is UTC
        assert [(task.id, task.title, task.status) for task in store.tasks("c")] == [("c.t1", "lower the time", "open")]

    def test_the_campaigns_of_a_workflow_are_found_by_its_path_newest_first(self, store, start):
        start(store, "a"), start(store, "b", identity_hash="i2"), start(store, "c", workflow_path="/other.md")
        assert [campaign.id for campaign in store.campaigns("/project/WORKFLOW.md")] == ["b", "a"]
        assert store.campaigns("/none.md") == ()
        assert [campaign.id for campaign in store.campaigns()] == ["c", "b", "a"]

    def test_an_id_is_used_once(self, store, start):
        start(store)
        with pytest.raises(TrackerError, match="refused a record"):
            start(store, name="again")
        assert store.campaign("c").name == "faster"

    def test_an_end_is_written_with_its_reason_and_cleared_by_a_new_start(self, store, start):
        start(store)
        ended = store.set_campaign_status("c", CampaignStatus.DONE, stop_reason="rounds", message="3 of 3 rounds used")
        assert (ended.status, ended.stop_reason) == (CampaignStatus.DONE, "rounds")
        again = store.set_campaign_status("c", CampaignStatus.RUNNING)
        assert (again.status, again.stop_reason, again.message) == (CampaignStatus.RUNNING, None, None)

    def test_elapsed_time_adds_up_and_exactness_is_kept(self, store, start):
        start(store)
        store.add_elapsed("c", 1.5)
        store.add_elapsed("c", 2.0)
        assert store.campaign("c").exact is None
        store.set_exact("c", True)
        assert (store.campaign("c").elapsed, store.campaign("c").exact) == (3.5, True)

    def test_a_changed_workflow_is_an_event_with_both_hashes(self, store, start):
        start(store)
        changed = store.change_workflow("c", text="new", hash="w2", settings={"x": 1}, keys=["x"])
        assert (changed.workflow_text, changed.workflow_hash, changed.settings) == ("new", "w2", {"x": 1})
        (event,) = store.events("c")
        assert (event.name, event.data) == ("workflow.changed", {"before": "w1", "after": "w2", "keys": ["x"]})

    def test_an_unknown_campaign_is_said_to_be_unknown(self, store):
        with pytest.raises(UsageError, match="no campaign nope"):
            store.campaign("nope")
        with pytest.raises(TrackerError, match="no campaign nope"):
            store.set_exact("nope", True)


class TestRounds:
    def test_a_round_is_planned_with_its_candidates_numbered_over_the_campaign(self, store, start, plan):
        start(store)
        plan(store, size=2)
        store.finish_round("c.r1")
        slots = [Slot(seed=7, agent="a", hypothesis="h", emphasis="e", retry_of="c.1"), Slot(seed=8, agent="b")]
        round_, candidates = store.plan_round("c", task_id="c.t1", baseline_commit="b1", slots=slots)
        assert (round_.id, round_.number, round_.baseline_commit, round_.finished) == ("c.r2", 2, "b1", False)
        assert [candidate.id for candidate in candidates] == ["c.3", "c.4"]
        assert store.candidates("c", round_id="c.r2") == candidates
        assert store.open_round("c") == round_
        first = candidates[0]
        assert (first.seed, first.agent, first.hypothesis, first.emphasis) == (7, "a", "h", "e")
        assert (first.retry_of, first.parent_commit, first.status) == ("c.1", "b1", Status.PLANNED)

    def test_a_worker_may_start_from_another_commit_than_the_baseline_that_it_is_compared_with(self, store, start):
        start(store)
        slots = [Slot(seed=1, agent="a", parent="p1"), Slot(seed=2, agent="a"), Slot(seed=3, agent="a", parent="p2")]
        round_, (child, plain, other) = store.plan_round("c", task_id="c.t1", baseline_commit="b1", slots=slots)
        assert [item.parent_commit for item in (child, plain, other)] == ["p1", "b1", "p2"]
        assert store.round(round_.id) == round_
        with pytest.raises(UsageError, match=r"no round c\.r9"):
            store.round("c.r9")
        submit(store, child, tree="t")
        store.begin_verification(child.id)
        assert store.verified_twin("c", "b1", "t", other.id).id == child.id
        assert store.verified_twin("c", "p1", "t", other.id) is None

    def test_a_round_that_cannot_be_planned_whole_leaves_nothing(self, store, start):
        start(store)
        slots = [Slot(seed=1, agent="a"), Slot(seed=2, agent="a", retry_of="c.99")]
        with pytest.raises(TrackerError):
            store.plan_round("c", task_id="c.t1", baseline_commit="b", slots=slots)
        assert store.candidates("c") == ()
        assert store.open_round("c") is None

    def test_a_second_open_round_is_refused(self, store, start, plan):
        start(store)
        plan(store)
        with pytest.raises(TrackerError, match="round 1 of c is not finished"):
            store.plan_round("c", task_id="c.t1", baseline_commit="b", slots=[])
        assert store.round_count("c") == 1

    def test_finishing_is_idempotent_and_rounds_are_newest_first(self, store, start, plan):
        start(store)
        plan(store), plan(store), plan(store)
        assert store.finish_round("c.r3") == store.finish_round("c.r3")
        assert store.open_round("c") is None
        assert [round_.number for round_ in store.rounds("c")] == [3, 2, 1]
        assert [round_.number for round_ in store.rounds("c", limit=1)] == [3]
        with pytest.raises(TrackerError, match="no round"):
            store.finish_round("c.r9")

    def test_rounds_since_the_last_keep_counts_finished_rounds(self, store, start, plan):
        start(store)
        assert store.rounds_since_keep("c") == 0
        plan(store)
        assert store.rounds_since_keep("c") == 0
        (second,) = plan(store)
        assert store.rounds_since_keep("c") == 1
        keep(store, second)
        plan(store), plan(store)
        assert store.rounds_since_keep("c") == 1

    def test_campaigns_in_one_tracker_do_not_mix(self, store, start, plan):
        start(store, "a"), start(store, "b")
        (of_a,), (of_b,) = plan(store, "a"), plan(store, "b")
        discard(store, of_a)
        assert (of_a.number, of_b.number) == (1, 1)
        assert store.counts("b")["candidates"] == 1
        assert store.trials("b") == store.reflections("b", limit=9) == store.search_reflections("b", "unroll", 9) == ()


class TestCandidates:
    def test_the_whole_life_of_a_kept_candidate(self, store, start, plan):
        start(store)
        (candidate,) = plan(store)
        assert store.claim(candidate.id).status is Status.RUNNING
        submitted = store.submit(
            candidate.id, commit="1" * 40, tree="2" * 40, lines_added=3, lines_removed=1, report=REPORT
        )
        assert (submitted.status, submitted.commit, submitted.tree) == (Status.GENERATED, "1" * 40, "2" * 40)
        assert (submitted.hypothesis, submitted.summary, submitted.params) == ("unroll by 4", "unrolled", {"UNROLL": 4})
        assert store.begin_verification(candidate.id).status is Status.VERIFYING
        assert store.screened(candidate.id, 1.5).value == 1.5
        assert store.begin_confirmation(candidate.id).status is Status.CONFIRMING
        decision = Decision(
            verdict=Verdict.KEPT,
            reason="12 % better",
            rule="paired-t",
            effect=EFFECT,
            value=1.25,
            baseline_value=1.5,
            evidence={"pairs": [[1.5, 1.25]]},
        )
        reflection = reflection_of(candidate, Verdict.KEPT, lesson="unrolling helps")
        kept = store.decide(candidate.id, decision, reflection, new_baseline="1" * 40)
        assert kept == store.candidate(candidate.id)
        assert (kept.status, kept.value) == (Status.KEPT, 1.25)
        assert store.campaign("c").baseline_commit == "1" * 40
        stored = store.decision(candidate.id)
        assert (stored.effect, stored.evidence, stored.rule) == (EFFECT, {"pairs": [[1.5, 1.25]]}, "paired-t")
        assert store.kept("c") == ((kept, stored),)
        (learned,) = store.reflections("c", limit=5)
        assert (learned.lesson, learned.outcome, learned.candidate_id) == ("unrolling helps", Verdict.KEPT, kept.id)

    def test_a_decision_without_a_submission_keeps_what_the_worker_left(self, store, start, plan):
        start(store)
        (candidate,) = plan(store)
        store.claim(candidate.id)
        report = Report(finish_reason="error", summary="half done", error="boom")
        rejected = store.decide(
            candidate.id,
            Decision(verdict=Verdict.REJECTED, reason="touches verify.py", rule="guardrail"),
            reflection_of(candidate, Verdict.REJECTED),
            report=report,
            lines_added=9,
            lines_removed=2,
        )
        assert (rejected.summary, rejected.finish_reason) == ("half done", "error")
        assert (rejected.lines_added, rejected.lines_removed, rejected.commit) == (9, 2, None)

    def test_a_planned_hypothesis_stands_unless_the_worker_has_its_own(self, store, start):
        start(store)
        slots = [Slot(seed=1, agent="a", hypothesis="planned")]
        _, (candidate,) = store.plan_round("c", task_id="c.t1", baseline_commit="b", slots=slots)
        store.claim(candidate.id)
        report = Report(finish_reason="submitted")
        after = store.submit(candidate.id, commit="1", tree="2", lines_added=0, lines_removed=0, report=report)
        assert after.hypothesis == "planned"

    def test_only_a_kept_candidate_becomes_the_baseline(self, store, start, plan):
        start(store)
        (candidate,) = plan(store)
        verify(store, candidate)
        decision = Decision(verdict=Verdict.DISCARDED, reason="no")
        with pytest.raises(TrackerError, match="only a kept one"):
            store.decide(candidate.id, decision, reflection_of(candidate, Verdict.DISCARDED), new_baseline="1" * 40)
        assert store.candidate(candidate.id).status is Status.SCREENED

    def test_a_decision_is_made_once_and_an_illegal_one_changes_nothing(self, store, start, plan):
        start(store)
        (candidate,) = plan(store)
        with pytest.raises(IllegalTransition, match=r"c\.1 is planned and cannot become kept"):
            decide(store, candidate, Verdict.KEPT)
        assert store.decision(candidate.id) is None
        discard(store, candidate)
        with pytest.raises(IllegalTransition, match="discarded is final"):
            decide(store, candidate, Verdict.KEPT)
        assert store.decision(candidate.id).verdict is Verdict.DISCARDED
        assert len(store.reflections("c", limit=9)) == 1

    def test_release_takes_a_candidate_back_to_where_it_can_start_again(self, store, start, plan):
        start(store)
        (candidate,) = plan(store)
        store.claim(candidate.id)
        assert (store.release(candidate.id).status, store.candidate(candidate.id).attempt) == (Status.PLANNED, 2)
        submit(store, candidate)
        store.begin_verification(candidate.id)
        assert store.release(candidate.id).status is Status.GENERATED
        store.begin_verification(candidate.id)
        store.screened(candidate.id, 1.0)
        store.begin_confirmation(candidate.id)
        assert (store.release(candidate.id).status, store.candidate(candidate.id).attempt) == (Status.SCREENED, 2)
        with pytest.raises(IllegalTransition, match="nothing to release"):
            store.release(candidate.id)

    def test_an_unknown_candidate_is_said_to_be_unknown(self, store, start):
        start(store)
        with pytest.raises(TrackerError, match="no candidate nope"):
            store.claim("nope")
        with pytest.raises(UsageError, match="no candidate nope"):
            store.candidate("nope")
        assert store.decision("nope") is None

    def test_a_person_finds_a_candidate_by_number_id_or_commit(self, store, start, plan):
        start(store)
        candidates = plan(store, size=12)
        submit(store, candidates[2], commit="12abcd" + "0" * 34)
        submit(store, candidates[3], commit="12abce" + "0" * 34)
        submit(store, candidates[4], commit="1234" + "0" * 36)
        for text, number in {"12": 12, "c12": 12, "c.12": 12, "12abcd": 3, "1234": 5}.items():
            assert store.find_candidate("c", text).number == number, text
        with pytest.raises(UsageError, match="more than one candidate: c3, c4"):
            store.find_candidate("c", "12abc")
        for text in ("99", "", "%", "dead", "c1.1", "' OR 1=1"):
            with pytest.raises(UsageError, match="no candidate"):
                store.find_candidate("c", text)

    def test_candidates_are_listed_by_number_status_and_limit(self, store, start, plan):
        start(store)
        candidates = plan(store, size=4)
        discard(store, candidates[1])
        store.claim(candidates[2].id)
        numbers = lambda **filters: [candidate.number for candidate in store.candidates("c", **filters)]  # noqa: E731
        assert numbers() == [1, 2, 3, 4]
        assert numbers(newest_first=True, limit=2) == [4, 3]
        assert numbers(statuses=[Status.DISCARDED, Status.RUNNING]) == [2, 3]
        assert numbers(statuses=[]) == []

    def test_counts_name_every_verdict_and_all_candidates(self, store, start, plan):
        start(store)
        assert store.counts("c") == {**{verdict.value: 0 for verdict in Verdict}, "candidates": 0}
        candidates = plan(store, size=3)
        discard(store, candidates[0])
        keep(store, candidates[1])
        counts = store.counts("c")
        assert (counts["discarded"], counts["kept"], counts["candidates"]) == (1, 1, 3)

    def test_the_kept_chain_is_in_the_order_of_the_decisions(self, store, start, plan):
        start(store)
        candidates = plan(store, size=3)
        for candidate in (candidates[2], candidates[0]):
            keep(store, candidate)
        discard(store, candidates[1])
        assert [candidate.number for candidate, _ in store.kept("c")] == [3, 1]

    def test_a_twin_is_content_that_was_verified_against_the_same_baseline(self, store, start, plan):
        start(store)
        first, second, third = plan(store, size=3)
        submit(store, first, tree="t")
        submit(store, second, tree="t")
        twin = lambda parent="0" * 40, tree="t": store.verified_twin("c", parent, tree, second.id)  # noqa: E731
        assert twin() is None  # the first was not verified yet
        store.begin_verification(first.id)
        assert twin().id == first.id
        assert twin(parent="other") is None
        assert twin(tree="other") is None
        decide(store, first, Verdict.FAILED)
        assert twin().id == first.id
        decide(store, second, Verdict.DUPLICATE)
        submit(store, third, tree="t")
        assert store.verified_twin("c", "0" * 40, "t", third.id).id == first.id

    def test_trials_are_the_decided_candidates_by_number(self, store, start, plan):
        start(store)
        first, second, third = plan(store, size=3)
        discard(store, third)
        assert [trial.number for trial in store.trials("c")] == [3]
        keep(store, first)
        store.claim(second.id)
        trials = store.trials("c")
        assert [(trial.number, trial.status) for trial in trials] == [(1, Status.KEPT), (3, Status.DISCARDED)]
        assert (trials[0].params, trials[0].value, trials[0].parent_commit) == ({"UNROLL": 4}, 1.2, "0" * 40)
        assert store.trials("c") == trials

    def test_a_trial_in_quarantine_is_kept_once_a_person_approved_it(self, store, start, plan):
        start(store)
        (candidate,) = plan(store, size=1)
        verify(store, candidate)
        store.begin_confirmation(candidate.id)
        decide(store, candidate, Verdict.QUARANTINED)
        assert [trial.status for trial in store.trials("c")] == [Status.QUARANTINED]
        approved = Decision(verdict=Verdict.KEPT, reason="approved by a person", rule="approved", value=1.2)
        store.review(candidate.id, approved, reflection_of(candidate, Verdict.KEPT), new_baseline="b" * 40)
        assert [trial.status for trial in store.trials("c")] == [Status.KEPT]

    def test_trials_decided_by_another_store_are_seen(self, store, tracker_url, start, plan):
        start(store)
        first, second = plan(store, size=2)
        discard(store, first)
        with open_store(tracker_url) as other:
            assert len(other.trials("c")) == 1
            discard(store, second)
            assert other.trials("c") == store.trials("c")


def run_of(value: float, *, seed: int = 1, **metrics: float) -> Run:
    return Run(seed=seed, metrics={"ms": value, **metrics}, seconds=0.5, log=Path("/logs/1.txt"))


class TestEvidence:
    def test_a_run_is_recorded_once(self, store, start, plan):
        start(store)
        (candidate,) = plan(store)
        key = {"campaign_id": "c", "candidate_id": candidate.id, "commit": "1" * 40, "phase": Phase.CONFIRM, "pair": 2}
        first = store.record_run(**key, run=run_of(1.5, seed=9, mb=20.0))
        assert {sample.metric: sample.value for sample in first} == {"ms": 1.5, "mb": 20.0}
        assert (first[0].seed, first[0].seconds, first[0].log) == (9, 0.5, "/logs/1.txt")
        again = store.record_run(**key, run=run_of(9.9, mb=9.9))
        assert set(again) == set(first) == set(store.measurements("c"))

    def test_runs_of_the_baseline_alone_are_recorded_once_too(self, store, start):
        start(store)
        for pair in (0, 1, 1):
            store.record_run(
                campaign_id="c", candidate_id=None, commit="0" * 40, phase=Phase.BASELINE, pair=pair, run=run_of(2.0)
            )
        assert [sample.pair for sample in store.measurements("c")] == [0, 1]

    def test_samples_are_found_by_candidate_commit_and_phase(self, store, start, plan):
        start(store)
        (candidate,) = plan(store)
        for commit, phase, owner in (
            ("0" * 40, Phase.BASELINE, None),
            ("1" * 40, Phase.SCREEN, candidate.id),
            ("1" * 40, Phase.CONFIRM, candidate.id),
            ("0" * 40, Phase.CONFIRM, candidate.id),
        ):
            store.record_run(campaign_id="c", candidate_id=owner, commit=commit, phase=phase, pair=0, run=run_of(1.0))
        assert len(store.measurements("c")) == 4
        assert len(store.measurements("c", candidate_id=candidate.id)) == 3
        assert len(store.measurements("c", commit="0" * 40)) == 2
        assert len(store.measurements("c", commit="0" * 40, phase=Phase.CONFIRM)) == 1
        assert store.measurements("c", phase=Phase.BASELINE)[0].candidate_id is None

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_a_value_that_is_not_finite_is_never_stored(self, store, start, value):
        start(store)
        key = {"campaign_id": "c", "candidate_id": None, "commit": "0", "phase": Phase.BASELINE, "pair": 0}
        with suppress(TrackerError):
            store.record_run(**key, run=run_of(value))
        assert store.measurements("c") == ()

    def test_a_run_without_a_score_leaves_no_sample(self, store, start):
        start(store)
        run = Run(seed=1, metrics={}, seconds=1, log=None, verdict=Verdict.FAILED)
        key = {"campaign_id": "c", "candidate_id": None, "commit": "0", "phase": Phase.BASELINE, "pair": 0}
        assert store.record_run(**key, run=run) == ()

    def test_an_effect_with_an_open_interval_is_kept(self, store, start, plan):
        start(store)
        (candidate,) = plan(store)
        verify(store, candidate)
        effect = Effect(mean=0.1, low=-math.inf, high=math.inf, samples=1)
        decision = Decision(verdict=Verdict.DISCARDED, reason="no", effect=effect, evidence={"t": math.inf})
        store.decide(candidate.id, decision, reflection_of(candidate, Verdict.DISCARDED))
        stored = store.decision(candidate.id)
        assert stored.effect == effect
        assert stored.evidence == {"t": None}  # JSON has no infinity

    def test_events_are_followed_by_id_in_both_directions(self, store, start, plan):
        start(store)
        (candidate,) = plan(store)
        sent = [
            store.record_event(
                "c", "candidate.claimed", round_id="c.r1", candidate_id=candidate.id, n=n, path=Path("/x")
            )
            for n in range(4)
        ]
        read = store.events("c")
        assert [event.id for event in read] == [event.id for event in sent]
        assert read[0].data == {"n": 0, "path": "/x"}
        assert (read[0].candidate_id, read[0].round_id) == (candidate.id, "c.r1")
        assert store.events("c", after=read[1].id) == read[2:]
        assert store.events("c", newest_first=True, limit=2) == (read[3], read[2])

    def test_an_artifact_is_noted_once_with_its_last_size(self, store, start, plan):
        start(store)
        (candidate,) = plan(store)
        for size in (1, 5_000_000_000):
            store.record_artifact(campaign_id="c", candidate_id=candidate.id, kind="log", path=Path("/a"), size=size)
        store.record_artifact(campaign_id="c", candidate_id=None, kind="log", path="/b", size=0)
        assert [(item.path, item.size) for item in store.artifacts("c")] == [("/a", 5_000_000_000), ("/b", 0)]
        assert [item.path for item in store.artifacts("c", candidate.id)] == ["/a"]

    @pytest.mark.parametrize("text", ["NUL \0 inside", "lone \ud800 surrogate", "日本語 🙂", "'; DROP TABLE event; --"])
    def test_any_text_that_a_program_prints_can_be_stored(self, store, start, plan, text):
        start(store)
        (candidate,) = plan(store)
        discard(store, candidate, error=text)
        store.record_event("c", "note", text=text)
        kept = store.reflections("c", limit=1)[0].error
        assert kept.replace("\ufffd", "\0").replace("?", "\ud800") == text
        assert len(store.events("c")) == 1


class TestMemory:
    @pytest.fixture
    def learned(self, store, start, plan) -> Store:
        start(store)
        lessons = [
            ("unroll the inner loop by 4", "registers spill beyond eight accumulators"),
            ("block the matrix for the cache", "BLOCK_SIZE=64 fits the L1 cache"),
            ("use a faster hash", "hashing was not the bottleneck"),
        ]
        for candidate, (hypothesis, lesson) in zip(plan(store, size=3), lessons, strict=True):
            discard(store, candidate, hypothesis=hypothesis, lesson=lesson)
        return store

    def find(self, store: Store, query: str, limit: int = 5) -> list[str]:
        return [found.candidate_id for found in store.search_reflections("c", query, limit)]

    def test_the_nearest_reflection_comes_first(self, learned):
        assert self.find(learned, "cache blocking of the matrix")[0] == "c.2"
        assert self.find(learned, "registers")[0] == "c.1"
        assert self.find(learned, "block_size")[0] == "c.2"
        assert self.find(learned, "hash", limit=1) == ["c.3"]

    @pytest.mark.parametrize("query", ["", "   ", '"', "*", "()", "^", "--", "\0", "🙂", "zebra"])
    def test_a_query_without_a_known_word_finds_nothing(self, learned, query):
        assert self.find(learned, query) == []

    @pytest.mark.parametrize(
        "query",
        [
            *('"hash', "hash AND", "NOT hash", "hash OR", "lesson:hash", "NEAR(hash, 2)", "hash*", "{hash}"),
            *("ha'sh hash", "hash " * 5000, "%hash%", "hash\0"),
        ],
    )
    def test_nothing_in_a_query_is_an_operator(self, learned, query):
        assert "c.3" in self.find(learned, query)

    def test_reflections_are_newest_first_and_chosen_by_outcome(self, learned, plan):
        (candidate,) = plan(learned)
        keep(learned, candidate)
        ids = lambda **filters: [r.candidate_id for r in learned.reflections("c", **filters)]  # noqa: E731
        assert ids(limit=2) == ["c.4", "c.3"]
        assert ids(limit=9, outcomes=[Verdict.KEPT]) == ["c.4"]
        assert ids(limit=9, outcomes=[Verdict.CRASHED]) == []


class TestLedger:
    CALL = Usage(
        role="worker", model="m", input_tokens=100, cached_tokens=40, output_tokens=50, cost_usd=0.25, seconds=0
    )
    REAL = Usage(
        role="worker", model="m", input_tokens=90, cached_tokens=40, output_tokens=5, cost_usd=0.125, seconds=2
    )

    def test_a_reservation_counts_in_full_until_it_is_settled(self, store, start, plan):
        start(store)
        (candidate,) = plan(store)
        scope = {"campaign_id": "c", "round_id": "c.r1", "candidate_id": candidate.id}
        row = store.reserve(**scope, usage=self.CALL)
        assert store.spent("c") == Spent(calls=1, input_tokens=100, cached_tokens=40, output_tokens=50, cost_usd=0.25)
        store.settle(row, self.REAL)
        assert store.spent("c").cost_usd == 0.125
        assert store.spent("c").tokens == 95

    def test_a_call_is_settled_once(self, store, start):
        start(store)
        row = store.reserve(campaign_id="c", round_id=None, candidate_id=None, usage=self.CALL)
        store.settle(row, self.REAL)
        for wrong in (row, row + 1):
            with pytest.raises(TrackerError, match="not an open reservation"):
                store.settle(wrong, self.CALL)
        assert store.spent("c").cost_usd == 0.125

    def test_a_reservation_outlives_the_process_that_made_it(self, store, tracker_url, start):
        start(store)
        store.reserve(campaign_id="c", round_id=None, candidate_id=None, usage=self.CALL)
        with open_store(tracker_url) as later:
            assert later.spent("c").cost_usd == 0.25

    def test_spending_is_summed_over_campaign_round_and_candidate(self, store, start, plan):
        start(store)
        first, second = plan(store, size=2)
        for candidate_id in (first.id, first.id, second.id, None):
            store.reserve(campaign_id="c", round_id="c.r1", candidate_id=candidate_id, usage=self.CALL)
        store.reserve(campaign_id="c", round_id=None, candidate_id=None, usage=self.CALL)
        assert store.spent("c").calls == 5
        assert store.spent("c", round_id="c.r1").calls == 4
        assert store.spent("c", candidate_id=first.id).cost_usd == 0.5
        assert store.cost_by_candidate("c") == {first.id: 0.5, second.id: 0.25}
        assert store.spent("other") == Spent()

    def test_usage_is_summed_by_role_and_model(self, store, start):
        start(store)
        for role, model in (("worker", "m"), ("worker", "m"), ("planner", "m"), ("worker", "a")):
            usage = Usage(role=role, model=model, input_tokens=10, cost_usd=0.5, seconds=1.5)
            store.reserve(campaign_id="c", round_id=None, candidate_id=None, usage=usage)
        sums = [(usage.role, usage.model, usage.input_tokens, usage.seconds) for usage in store.usages("c")]
        assert sums == [("planner", "m", 10, 1.5), ("worker", "a", 10, 1.5), ("worker", "m", 20, 3.0)]

    @pytest.mark.parametrize("wrong", ["input_tokens", "cached_tokens", "output_tokens", "cost_usd", "seconds"])
    def test_nothing_negative_enters_the_ledger(self, store, start, wrong):
        start(store)
        with pytest.raises(TrackerError, match="refused a record"):
            store.reserve(
                campaign_id="c", round_id=None, candidate_id=None, usage=Usage(role="w", model="m", **{wrong: -1})
            )
        assert store.spent("c") == Spent()

    def test_what_belongs_to_nothing_is_refused(self, store, start):
        start(store)
        with pytest.raises(TrackerError, match="refused a record"):
            store.reserve(campaign_id="c", round_id=None, candidate_id="c.77", usage=self.CALL)
        with pytest.raises(TrackerError, match="refused a record"):
            store.record_event("nope", "note")


class Life(RuleBasedStateMachine):
    """Asks a candidate for every step in any order, and holds the store to the table."""

    def __init__(self, store: Store, fresh: Callable[[], Candidate]):
        super().__init__()
        self.store, self.candidate = store, fresh()
        self.status, self.attempt = Status.PLANNED, 1

    def ask(self, to: Status, verb: Callable[[], Candidate]) -> None:
        if self.status in sources(to):
            assert verb().status is to
            self.status = to
        else:
            with pytest.raises(IllegalTransition):
                verb()
        stored = self.store.candidate(self.candidate.id)
        assert (stored.status, stored.attempt) == (self.status, self.attempt)
        assert (self.store.decision(self.candidate.id) is None) is (not self.status.final)

    @rule()
    def claim(self) -> None:
        self.ask(Status.RUNNING, lambda: self.store.claim(self.candidate.id))

    @rule()
    def submit(self) -> None:
        patch = {"commit": "1", "tree": "2", "lines_added": 1, "lines_removed": 1, "report": REPORT}
        self.ask(Status.GENERATED, lambda: self.store.submit(self.candidate.id, **patch))

    @rule()
    def verify(self) -> None:
        self.ask(Status.VERIFYING, lambda: self.store.begin_verification(self.candidate.id))

    @rule()
    def screen(self) -> None:
        self.ask(Status.SCREENED, lambda: self.store.screened(self.candidate.id, 1.0))

    @rule()
    def confirm(self) -> None:
        self.ask(Status.CONFIRMING, lambda: self.store.begin_confirmation(self.candidate.id))

    @rule()
    def release(self) -> None:
        if to := RELEASES.get(self.status):
            self.attempt += self.status is Status.RUNNING
            self.status = self.store.release(self.candidate.id).status
            assert self.status is to
            assert self.store.candidate(self.candidate.id).attempt == self.attempt
        else:
            with pytest.raises(IllegalTransition):
                self.store.release(self.candidate.id)

    @rule(verdict=st.sampled_from(Verdict))
    def decide(self, verdict: Verdict) -> None:
        self.ask(Status(verdict), lambda: decide(self.store, self.candidate, verdict))


def test_no_order_of_verbs_leaves_the_transition_table(store, start, plan):
    start(store)
    run_state_machine_as_test(
        lambda: Life(store, lambda: plan(store)[0]),
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_every_legal_step_has_a_verb_that_takes_it(store, start, plan):
    start(store)
    verbs: dict[Status, Callable[[Candidate], Candidate]] = {
        Status.RUNNING: lambda candidate: store.claim(candidate.id),
        Status.GENERATED: lambda candidate: store.submit(
            candidate.id, commit="1", tree="2", lines_added=1, lines_removed=0, report=REPORT
        ),
        Status.VERIFYING: lambda candidate: store.begin_verification(candidate.id),
        Status.SCREENED: lambda candidate: store.screened(candidate.id, 1.0),
        Status.CONFIRMING: lambda candidate: store.begin_confirmation(candidate.id),
    }
    way = list(verbs)
    for index, status in enumerate([Status.PLANNED, *way]):
        for to in TRANSITIONS[status]:
            (candidate,) = plan(store)
            for step in way[:index]:
                candidate = verbs[step](candidate)
            assert candidate.status is status
            if to.final:
                assert decide(store, candidate, Verdict(to)).status is to
            else:
                assert verbs[to](candidate).status is to


def test_only_release_goes_back(store, start, plan):
    start(store)
    first, second = plan(store, size=2)
    submit(store, first)
    store.begin_verification(first.id)
    patch = {"commit": "9", "tree": "9", "lines_added": 1, "lines_removed": 1, "report": REPORT}
    with pytest.raises(IllegalTransition):
        store.submit(first.id, **patch)
    verify(store, second)
    store.begin_confirmation(second.id)
    with pytest.raises(IllegalTransition):
        store.screened(second.id, 9.0)
    assert store.candidate(second.id).value == 1.5


CLAIM_ALL = """
import sys
from loopsmith.errors import IllegalTransition
from loopsmith.tracker import open_store
url, *ids = sys.argv[1:]
with open_store(url, busy_timeout=60) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    for candidate_id in ids:
        try:
            store.claim(candidate_id)
            print(candidate_id)
        except IllegalTransition:
            pass
"""


def test_of_two_processes_that_claim_the_same_candidate_one_wins(store, tracker_url, start, plan):
    start(store)
    ids = [candidate.id for candidate in plan(store, size=40)]
    argv = [sys.executable, "-c", CLAIM_ALL, tracker_url, *ids]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(argv, **pipes) as one, subprocess.Popen(argv, **pipes) as other:
        assert one.stdout.readline() == other.stdout.readline() == "ready\n"
        for process in (one, other):
            process.stdin.write("go\n")
            process.stdin.flush()
        claimed = one.communicate()[0].split() + other.communicate()[0].split()
    assert one.returncode == other.returncode == 0
    assert sorted(claimed) == sorted(ids)


def test_threads_share_a_store(store, start, plan):
    start(store)
    candidates = plan(store, size=8)

    async def all_at_once() -> None:
        async with asyncio.TaskGroup() as group:
            for candidate in candidates:
                group.create_task(asyncio.to_thread(discard, store, candidate))

    asyncio.run(all_at_once())
    assert store.counts("c")["discarded"] == 8
    assert len(store.trials("c")) == 8
