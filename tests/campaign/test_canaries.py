"""A verifier that lets through what must not be kept stops the campaign before the first round."""

import pytest
from support import EXACT, NOISY, run, setting_x, write_source

from loopsmith import workflow
from loopsmith.errors import VerifierError, WorkflowError
from loopsmith.tracker import open_store

CONSTANT = "--- a/program.sh\n+++ b/program.sh\n@@ -1,2 +1,2 @@\n-X=10\n+X=99\n Y=0\n"


def counts(path):
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        campaign = store.campaigns()[0]
        return campaign, store.counts(campaign.id)["candidates"], store.measurements(campaign.id)


@pytest.mark.parametrize("command", [EXACT, NOISY])
def test_a_sound_verifier_refuses_the_canaries_once_and_the_campaign_goes_on(tmp_path, command):
    path = write_source(
        tmp_path,
        command=f"[ $X -lt 60 ] || exit 1; {command}",
        agent=setting_x(12, 13),
        verify={"canaries": [CONSTANT]},
    )
    view = run(path)
    assert view["campaign"]["stop_reason"] == "rounds"
    campaign, _, measured = counts(path)
    assert not [item for item in measured if item.phase == "canary"], "canaries leave no measurement"
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        (event,) = store.events(campaign.id, name="verifier.tested")
    assert event.data["canaries"] == ["number 1", "a program that is garbage", "the baseline itself"]
    run(path, "budget.rounds=2")
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        assert len(store.events(campaign.id, name="verifier.tested")) == 1


@pytest.mark.parametrize("command", [EXACT, NOISY])
def test_a_canary_that_would_be_kept_stops_the_campaign_and_is_named(tmp_path, command):
    path = write_source(tmp_path, command=command, agent=setting_x(12), verify={"canaries": [CONSTANT]})
    with pytest.raises(VerifierError, match=r"number 1 would be kept"):
        run(path)
    campaign, candidates, _ = counts(path)
    assert campaign.stop_reason == "verifier"
    assert candidates == 0


def test_a_verifier_that_scores_garbage_better_is_found_without_any_canary_of_the_user(tmp_path):
    size = 'echo "METRIC score=$(wc -c < ../unused 2>/dev/null || wc -c < program.sh)"'
    path = write_source(tmp_path, verify={"command": size}, agent=setting_x(12))
    with pytest.raises(VerifierError, match="garbage"):
        run(path)
    assert run(path, "verify.self_check=false", new=True)["campaign"]["stop_reason"] == "rounds"


def test_garbage_is_tried_of_a_program_of_more_lines_than_a_patch_may_change(tmp_path):
    size = 'echo "METRIC score=$((100000 - $(wc -c < program.sh)))"'
    path = write_source(tmp_path, verify={"command": size}, agent=setting_x(12))
    (tmp_path / "program.sh").write_text("X=10\n" + "Y=0\n" * 600)
    with pytest.raises(VerifierError, match="garbage"):
        run(path)


def test_a_canary_that_is_no_patch_of_the_baseline_is_said(tmp_path):
    path = write_source(tmp_path, agent=setting_x(12), verify={"canaries": ["missing.patch"]})
    with pytest.raises(WorkflowError, match=r"missing\.patch"):
        run(path)
