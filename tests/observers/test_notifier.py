"""When a person is told: stalls, limits, silence, and a storm of events, by a clock of the tests."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from filled import fill, kept
from support import setting_x, write_source

from loopsmith import report, workflow
from loopsmith.observers.notify import Notifier
from loopsmith.observers.watched import WatchedCampaign
from loopsmith.records import Slot, Usage
from loopsmith.tracker import open_store
from loopsmith.workflow.notify import Notify


class Listed:
    """A target that writes down what it is told."""

    name, on = "listed", Notify(desktop=True).on

    def __init__(self):
        self.told, self.paused = [], False

    def send(self, message):
        self.told.append(message)


@contextmanager
def notifier(tmp_path, *overrides):
    """A notifier on a campaign that only the test moves on, with a clock of the test's; and what it told."""
    path = write_source(tmp_path, agent=setting_x(*range(1, 40)))
    loaded = workflow.load(path, ["budget.rounds=20", "budget.cost_usd=10", "budget.stall_rounds=6", *overrides])
    now = [0.0]
    with open_store(tmp_path / "t.db") as store:
        campaign = store.start_campaign(
            id="c-1",
            name="slow",
            workflow_path=str(path),
            workflow_text="",
            workflow_hash="",
            identity_hash="",
            settings=loaded.settings.model_dump(mode="json"),
            source=str(tmp_path),
            origin_commit="0" * 40,
            task_titles=["t"],
        )
        target = Listed()
        watched = WatchedCampaign(campaign.id, store, tmp_path, tmp_path / "report")
        made = Notifier(
            [target],
            watched,
            store,
            lambda: loaded.settings,
            where="-w W",
            tell=lambda name, **data: store.record_event(campaign.id, name, **data),
            last_word=5.0,
            clock=lambda: now[0],
            paused=lambda: target.paused,
        )
        made._started = True  # but not its thread: the test is that
        made.deliveries[0].feed.start()
        yield made, store, now, target
        made.close()
        made._end()


def settle(made):
    """Wait until what it handed over is delivered."""
    for delivery in made.deliveries:
        delivery.close()
        assert delivery.feed.done.wait(10)


def finish_rounds(store, count):
    for _ in range(count):
        round_, _ = store.plan_round("c-1", task_id="c-1.t1", baseline_commit="0" * 40, slots=[Slot(seed=1, agent="a")])
        store.finish_round(round_.id)


def test_half_of_the_patience_without_a_keep_is_told_once(tmp_path):
    with notifier(tmp_path) as (made, store, _now, target):
        for _ in range(5):
            finish_rounds(store, 1)
            made._take(("round.finished", None, {}))
        settle(made)
    assert [message.key for message in target.told] == ["stalled:0"]
    assert target.told[0].title == "slow: stalled, 3 rounds without a keep"
    assert "it ends after 6 (budget.stall_rounds)" in target.told[0].body


def test_each_limit_is_told_once_at_80_percent_and_again_when_it_was_raised(tmp_path):
    with notifier(tmp_path, "budget.stall_rounds=") as (made, store, now, target):
        row = store.reserve(campaign_id="c-1", round_id=None, candidate_id=None, usage=Usage(role="worker", model="m"))
        made.look()
        store.settle(row, Usage(role="worker", model="m", input_tokens=5, cost_usd=8.2))
        for _ in range(3):
            now[0] += 6
            made.look()
        made.settings = lambda: workflow.load(tmp_path, ["budget.rounds=20", "budget.cost_usd=10.1"]).settings
        now[0] += 6
        made.look()
        finish_rounds(store, 16)
        now[0] += 6
        made.look()
        settle(made)
    assert [message.key for message in target.told] == [
        "budget:cost_usd:10",
        "budget:cost_usd:10.1",
        "budget:rounds:20",
    ]
    assert target.told[0].title == "slow: 82 % of budget.cost_usd used"
    assert "$8.20 of $10.00 (cost_usd)" in target.told[0].body


def test_a_long_silence_is_told_with_whom_it_waits_for_and_told_again_only_after_something_happened(tmp_path):
    with notifier(tmp_path) as (made, store, now, target):
        made.observe("worker.started", None, {})
        until = datetime.now(UTC) + timedelta(hours=2)
        store.record_event("c-1", "model.rate_limited", model="m", until=until.isoformat(timespec="seconds"))
        for minutes in (30, 59, 61, 90):
            now[0] = 60.0 * minutes
            made.look()
        made.observe("worker.progress", None, {})
        now[0] += 60
        made.look()
        target.paused = True  # by a person, who knows why it is silent
        now[0] += 36_000
        made.look()
        target.paused = False
        now[0] += 3000
        made.look()
        now[0] += 720
        made.look()
        settle(made)
    first, second = target.told
    assert first.title == "slow: silent for 1h 1m"
    assert "m is rate limited until" in first.body
    assert second.title == "slow: silent for 1h 2m"


def test_a_storm_of_events_is_neither_waited_for_nor_kept(tmp_path):
    with notifier(tmp_path) as (made, _store, _now, _target):
        for _ in range(30_000):
            made.observe("round.finished", None, {})
        assert made.feed.lost == 20_000  # nothing takes them: its thread was not started


def test_the_gain_so_far_is_the_one_that_the_result_says(tmp_path):
    with notifier(tmp_path) as (made, store, _, _):
        campaign = fill(store, [kept(93.6, baseline=104.0)], exact=False)
        made.id, made.campaign = campaign.id, WatchedCampaign(campaign.id, store, tmp_path, tmp_path / "report")
        told, result = made._standing(), report.outcome(report.status(store, campaign))
        assert told.words_gained() == "so far seconds 101.33 → 93.6, +10.0 %"
        assert result.startswith("seconds 101.33 -> 93.6: +10.0 % ")
