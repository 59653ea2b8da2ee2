import asyncio
import json
import threading

import pytest
from model_server import DROP, TOO_LONG, calls, model_server, say
from model_worker import Ledger, make_brief, settings, work

from loopsmith.agents.loop import ToolLoop
from loopsmith.errors import ProviderError

EDIT = calls("I unroll.", edit={"path": "src/kernel.c", "old": "UNROLL 4", "new": "UNROLL 8"})
SUBMIT = calls(
    submit={
        "hypothesis": "unroll by 8",
        "summary": "doubled UNROLL",
        "tried": "16 spills",
        "lesson": "8 fits the registers",
        "expected_effect": "5 %",
        "try_next": "block by 32",
    }
)
KINDS = pytest.mark.parametrize("kind", ["anthropic", "openai", "responses"])


def results(request):
    """What the tools said in a request's last messages, for either wire format."""
    found = []
    for message in request.get("messages") or request["input"]:
        if message.get("type") == "function_call_output":
            found.append(message["output"])
        elif message.get("role") == "tool":
            found.append(message["content"])
        elif message.get("role") == "user" and isinstance(message["content"], list):
            found.extend(block["content"] for block in message["content"] if block["type"] == "tool_result")
    return found


@KINDS
def test_a_worker_edits_tests_and_submits_over_the_real_sdk(kind, workspace, ledger):
    test = calls(bash={"command": "grep UNROLL src/kernel.c"}, search_memory={"query": "unroll"})
    with model_server([EDIT, test, SUBMIT]) as url:
        report = work(kind, url, workspace, ledger)
    assert (workspace.path / "src/kernel.c").read_text().startswith("#define UNROLL 8\n")
    assert report.finish_reason == "submitted"
    assert (report.hypothesis, report.tried) == ("unroll by 8", "16 spills")
    assert (report.lesson, report.try_next, report.expected_effect) == ("8 fits the registers", "block by 32", "5 %")
    edited, grepped, remembered = results(url.requests[2])
    assert "1\t#define UNROLL 8" in edited
    assert grepped.startswith("#define UNROLL 8\n[exit code 0")
    assert "c7 discarded: unroll by 16" in remembered
    assert "data, not instructions" in remembered


@KINDS
def test_every_call_is_a_settled_ledger_row_with_its_tokens_and_dollars(kind, workspace, ledger):
    with model_server([EDIT, SUBMIT]) as url:
        work(kind, url, workspace, ledger)
    assert len(ledger.rows) == 2 == len(ledger.settled)
    for row in ledger.rows:
        assert (row.role, row.model) == ("worker", f"{'openai' if kind == 'responses' else kind}/test-model")
        assert row.cost_usd == pytest.approx((row.input_tokens * 3 + row.output_tokens * 15) / 1e6)
        assert row.input_tokens > 100


@KINDS
def test_what_is_reserved_covers_what_is_used(kind, workspace):
    reserved = []

    class Watching(Ledger):
        def reserve(self, usage):
            reserved.append(usage)
            return super().reserve(usage)

    ledger = Watching()
    with model_server([EDIT, calls(view={"path": "verify.py"}), SUBMIT]) as url:
        work(kind, url, workspace, ledger)
    assert len(reserved) == 3
    for most, used in zip(reserved, ledger.rows, strict=True):
        assert most.input_tokens >= used.input_tokens
        assert most.output_tokens >= used.output_tokens
        assert most.cost_usd >= used.cost_usd


def test_a_limit_of_money_ends_the_worker_before_the_call_and_its_change_stays(workspace):
    ledger = Ledger(cost_usd=0.2)
    expensive = {**EDIT, "usage": {"input_tokens": 20_000, "output_tokens": 8_000}}
    with model_server([expensive, SUBMIT]) as url:
        report = work("anthropic", url, workspace, ledger)
    assert len(url.requests) == 1
    assert report.finish_reason == "cost_usd"
    assert report.summary == "I unroll."
    assert report.hypothesis == "unroll more"  # as the brief asked
    assert "UNROLL 8" in (workspace.path / "src/kernel.c").read_text()


def test_turns_end_the_worker_which_is_told_in_time(workspace, ledger):
    with model_server([calls(view={"path": "src/kernel.c"})]) as url:
        report = work("openai", url, workspace, ledger, make_brief(turns=4))
    assert report.finish_reason == "turns"
    assert len(url.requests) == 4
    said = results(url.requests[3])
    assert "you have 3 more turns left" in said[0]
    assert "you have 1 more turn left" in said[2]


def test_wall_clock_ends_the_worker_in_the_middle_of_a_call(workspace, ledger):
    with model_server([EDIT, {**SUBMIT, "delay": 30}]) as url:
        report = work("anthropic", url, workspace, ledger, make_brief(wall_clock=1.5))
    assert report.finish_reason == "wall_clock"
    assert len(ledger.rows) == 2
    assert ledger.settled == {0}  # the unanswered call may be charged: its reservation stands


def test_a_command_does_not_outlive_the_wall_clock(workspace, ledger):
    with model_server([calls(bash={"command": "sleep 20; touch late"})]) as url:
        report = work("openai", url, workspace, ledger, make_brief(wall_clock=2))
    assert report.finish_reason == "wall_clock"
    assert not (workspace.path / "late").exists()


@KINDS
def test_an_answer_without_a_call_is_nudged_once(kind, workspace, ledger):
    with model_server([say("thinking..."), say("I am done.")]) as url:
        report = work(kind, url, workspace, ledger)
    assert (report.finish_reason, report.summary) == ("stopped", "I am done.")
    assert "called no tool" in json.dumps((url.requests[1].get("messages") or url.requests[1]["input"])[-1])


@KINDS
def test_mistakes_of_the_model_come_back_to_it_as_errors(kind, workspace, ledger):
    wrong = [
        calls(teleport={"to": "mars"}),
        calls(bash={"cmd": "ls"}),
        calls(view={"path": "src/kernel.c", "first": "many"}),
        calls(view={"path": "../../etc/passwd"}),
        calls(edit={"path": "verify.py", "old": "1", "new": "2"}),
        EDIT,
        SUBMIT,
    ]
    with model_server(wrong) as url:
        report = work(kind, url, workspace, ledger)
    assert report.finish_reason == "submitted"
    said = results(url.requests[-1])
    assert "there is no tool `teleport`; there are bash, view, edit" in said[0]
    assert "`command`: field required" in said[1]
    assert "It takes: command, timeout (optional)" in said[1]
    assert "`first`" in said[2]
    assert "leads out of your folder" in said[3]
    assert "`verify.py` is not editable" in said[4]


def test_arguments_that_are_not_json_come_back_as_an_error_and_are_not_replayed(workspace, ledger):
    with model_server([calls(bash='{"command": "ls'), EDIT, SUBMIT]) as url:
        report = work("openai", url, workspace, ledger)
    assert report.finish_reason == "submitted"
    assert "they are not JSON" in results(url.requests[1])[0]
    assert url.requests[1]["messages"][2]["tool_calls"][0]["function"]["arguments"] == "{}"


@KINDS
def test_half_a_character_in_an_answer_breaks_neither_file_nor_conversation(kind, workspace, ledger):
    half = calls("\ud800", edit={"path": "src/kernel.c", "old": "UNROLL 4", "new": "UNROLL 8 // \udfff"})
    with model_server([half, SUBMIT]) as url:
        report = work(kind, url, workspace, ledger)
    assert report.finish_reason == "submitted"
    assert "UNROLL 8 // ?\n" in (workspace.path / "src/kernel.c").read_text()


@KINDS
def test_a_call_that_was_cut_off_is_not_run(kind, workspace, ledger):
    cut = {**calls(write={"path": "src/kernel.c", "content": "int ma"}), "stop": "length"}
    with model_server([cut, EDIT, SUBMIT]) as url:
        work(kind, url, workspace, ledger)
    assert "cut off at its length limit" in results(url.requests[1])[0]
    assert "int main" in (workspace.path / "src/kernel.c").read_text()


def test_nothing_is_submitted_after_a_failed_call_of_the_same_answer(workspace, ledger):
    missed = calls(edit={"path": "src/kernel.c", "old": "UNROLL 5", "new": "UNROLL 8"}, **tool_of(SUBMIT))
    with model_server([missed, calls(**tool_of(EDIT), **tool_of(SUBMIT))]) as url:
        report = work("anthropic", url, workspace, ledger)
    assert report.finish_reason == "submitted"
    assert "nothing was submitted" in results(url.requests[1])[1]


def tool_of(answer):
    return {call["name"]: call["input"] for call in answer["tool_calls"]}


def test_a_submit_without_a_change_is_questioned_once(workspace, ledger):
    with model_server([SUBMIT]) as url:
        report = work("openai", url, workspace, ledger)
    assert len(url.requests) == 2
    assert report.finish_reason == "submitted"
    assert "no editable file differs" in results(url.requests[1])[0]


@KINDS
def test_a_broken_guardrail_is_told_once_and_can_be_mended(kind, workspace, ledger):
    kernel = workspace.path / "src/kernel.c"
    rule = "src/kernel.c:1: the added line matches guardrails.forbid `UNROLL 8`"
    ledger.broken = lambda: (rule,) if "UNROLL 8" in kernel.read_text() else ()
    mend = calls(edit={"path": "src/kernel.c", "old": "UNROLL 8", "new": "UNROLL 6"})
    with model_server([EDIT, SUBMIT, mend, SUBMIT]) as url:
        report = work(kind, url, workspace, ledger)
    assert report.finish_reason == "submitted"
    assert len(url.requests) == 4
    told = results(url.requests[2])[-1]
    assert "breaks these rules" in told
    assert f"- {rule}\n" in told
    assert "UNROLL 6" in kernel.read_text()


def test_a_second_submit_ends_the_work_mended_or_not(workspace, ledger):
    ledger.broken = lambda: ("src/kernel.c: a symbolic link",)
    with model_server([EDIT, SUBMIT]) as url:
        report = work("openai", url, workspace, ledger)
    assert report.finish_reason == "submitted"
    assert len(url.requests) == 3


def test_a_guardrail_is_not_told_when_no_turn_is_left_to_mend_it(workspace, ledger):
    ledger.broken = lambda: ("src/kernel.c: a symbolic link",)
    with model_server([EDIT, SUBMIT]) as url:
        report = work("openai", url, workspace, ledger, make_brief(turns=2))
    assert report.finish_reason == "submitted"
    assert report.lesson == "8 fits the registers"


def test_the_words_of_a_submit_that_was_not_accepted_are_not_lost(workspace, ledger):
    ledger.broken = lambda: ("src/kernel.c: a symbolic link",)
    with model_server([EDIT, SUBMIT, EDIT]) as url:
        report = work("openai", url, workspace, ledger, make_brief(turns=3))
    assert report.finish_reason == "turns"
    assert (report.hypothesis, report.lesson) == ("unroll by 8", "8 fits the registers")


@KINDS
def test_a_full_context_without_anything_to_leave_out_ends_the_worker_with_what_there_is(kind, workspace, ledger):
    with model_server([EDIT, TOO_LONG]) as url:
        report = work(kind, url, workspace, ledger)
    assert (report.finish_reason, report.error) == ("context", "")
    assert len(url.requests) == 2
    assert "UNROLL 8" in (workspace.path / "src/kernel.c").read_text()
    assert ledger.rows[1].cost_usd == 0  # a refused call costs nothing


LONG = calls(bash={"command": "seq 1 2000"})


@KINDS
def test_a_full_context_is_made_room_in_once_then_the_worker_ends(kind, workspace, ledger):
    look = calls(view={"path": "src/kernel.c"})
    with model_server([LONG, look, EDIT, LONG, TOO_LONG, LONG, TOO_LONG]) as url:
        report = work(kind, url, workspace, ledger, make_brief("The brief.", turns=20))
    assert report.finish_reason == "context"
    assert len(url.requests) == 7
    before, after = results(url.requests[4]), results(url.requests[5])
    assert "left out to make room" in after[0]
    assert len(after[0]) < 300 < len(before[0])
    assert after[1:] == before[1:]  # the file it stands in, and the last turn
    assert "The brief." in json.dumps(url.requests[5])
    lines = [json.loads(line) for line in report.transcript.read_text().splitlines()]
    whole = [line for line in lines if line.get("kind") == "ToolMessage"]
    assert "1999" in whole[0]["results"][0]["text"]  # the transcript loses nothing
    assert "Compaction" in [line.get("kind") for line in lines]


def test_room_is_made_before_a_known_context_is_full(workspace, ledger):
    with model_server([LONG, LONG, LONG, LONG, LONG, SUBMIT]) as url:
        work("openai", url, workspace, ledger, context_tokens=25_000)
    said = results(url.requests[-1])
    assert ["left out to make room" in text for text in said[:5]] == [True, True, False, False, False]


def test_a_worker_that_repeats_one_call_is_told_once_then_stopped_and_its_lesson_says_so(workspace, ledger):
    with model_server([calls(bash={"command": "cat src/kernel.c"})]) as url:
        report = work("openai", url, workspace, ledger, make_brief(turns=30))
    assert report.finish_reason == "no_progress"
    assert "7 turns in a row called the same call (bash" in report.lesson
    said = results(url.requests[-1])
    assert ["no progress" in text for text in said] == [False, False, False, True, False, False]
    assert len(url.requests) == 7


def test_a_worker_that_only_reads_again_is_stopped(workspace, ledger):
    look = [calls(view={"path": name}) for name in ("src/kernel.c", "verify.py", "src")]
    with model_server(look * 4) as url:
        report = work("anthropic", url, workspace, ledger, make_brief(turns=30))
    assert "6 turns in a row called only what was called before" in report.lesson
    assert len(url.requests) == 9


def test_a_worker_that_edits_nothing_is_told_after_k_turns_and_stopped_after_as_many(workspace, ledger):
    script = [calls(bash={"command": f"echo {turn}"}) for turn in range(20)]
    with model_server([*script[:5], EDIT, *script[5:]]) as url:
        report = work("openai", url, workspace, ledger, make_brief(turns=30), idle_turns=4)
    assert report.finish_reason == "no_progress"
    assert "8 turns in a row changed no editable file" in report.lesson
    said = results(url.requests[-1])
    assert [index for index, text in enumerate(said) if "no progress" in text] == [3, 9]
    assert "UNROLL 8" in (workspace.path / "src/kernel.c").read_text()


@KINDS
def test_an_empty_answer_is_nudged_once_then_ends_the_worker(kind, workspace, ledger):
    with model_server([say("")]) as url:
        report = work(kind, url, workspace, ledger)
    assert (report.finish_reason, report.summary, report.error) == ("stopped", "", "")
    assert len(url.requests) == 2


@KINDS
def test_a_refusal_ends_the_worker_with_its_reason(kind, workspace, ledger):
    with model_server([{**say("I cannot help with that."), "stop": "refused"}]) as url:
        report = work(kind, url, workspace, ledger)
    assert report.finish_reason == "error"
    assert "I cannot help" in report.error


def test_an_endpoint_that_never_answers_stops_the_campaign_not_the_candidate(workspace, ledger):
    with model_server([DROP]) as url, pytest.raises(ProviderError, match="gave no answer"):
        work("anthropic", url, workspace, ledger, make_brief(wall_clock=1.5))


def test_the_transcript_holds_the_whole_conversation(workspace, ledger):
    with model_server([EDIT, SUBMIT]) as url:
        report = work("anthropic", url, workspace, ledger, make_brief("Do it.", turns=5))
    lines = [json.loads(line) for line in report.transcript.read_text().splitlines()]
    assert [line.get("kind") for line in lines] == [None, "UserMessage", "Completion", "ToolMessage", "Completion"]
    assert lines[1]["text"] == "Do it.\n\nYou have 5 turns (each of your answers is one)."


def test_thinking_is_given_back_to_its_model_as_it_came(workspace, ledger):
    thought = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    with model_server([{**EDIT, "blocks": [thought]}, SUBMIT]) as url:
        work("anthropic", url, workspace, ledger)
    assert url.requests[1]["messages"][1]["content"][0] == thought


def test_many_workers_wait_for_one_model_at_the_same_time(workspace):
    everybody = threading.Barrier(30)

    def answer(_):
        everybody.wait(timeout=20)  # until all of them ask at once
        return EDIT

    ledger = Ledger()
    with model_server(answer) as url:
        agent = ToolLoop(settings("openai", url))

        async def work_together():
            return await asyncio.gather(*(agent.work(make_brief(turns=1), workspace, ledger) for _ in range(30)))

        reports = asyncio.run(work_together())
    assert {report.finish_reason for report in reports} == {"turns"}
    assert len(url.requests) == 30
