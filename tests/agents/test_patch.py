import json

import pytest
from model_server import calls, model_server, say
from model_worker import make_brief, settings, work

from loopsmith.agents.edits import BadAnswer, parse
from loopsmith.agents.loop import ToolLoop
from loopsmith.errors import WorkflowError

KINDS = pytest.mark.parametrize("kind", ["anthropic", "openai", "responses"])


def block(old, new, path="src/kernel.c"):
    return f"FILE: {path}\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"


WORDS = "HYPOTHESIS: unroll by 8\nLESSON: 8 fits the registers\n\n"
EDIT = say(WORDS + block("#define UNROLL 4", "#define UNROLL 8"))


def kernel(workspace):
    return (workspace.path / "src/kernel.c").read_text()


def last(request):
    return json.dumps((request.get("messages") or request["input"])[-1])


@KINDS
def test_one_call_without_tools_becomes_a_change(kind, workspace, ledger):
    with model_server([EDIT]) as url:
        report = work(kind, url, workspace, ledger, mode="patch")
    (request,) = url.requests
    assert "tools" not in request
    assert "#define UNROLL 4" in last(request)
    assert "Make it fast." in last(request)
    assert kernel(workspace).startswith("#define UNROLL 8\n")
    assert (report.finish_reason, report.hypothesis) == ("submitted", "unroll by 8")
    assert report.lesson == "8 fits the registers"
    assert len(ledger.settled) == 1
    lines = [json.loads(line) for line in report.transcript.read_text().splitlines()]
    assert [line.get("kind") for line in lines] == [None, "UserMessage", "Completion"]


def test_a_whole_file_and_several_replacements_in_one_answer(workspace, ledger):
    whole = "FILE: `src/new.c`\n<<<<<<< WHOLE\nint f(void);\n>>>>>>> WHOLE\n"
    two = block("#define UNROLL 4", "#define UNROLL 5") + block("#define UNROLL 5", "#define UNROLL 6")
    with model_server([say(f"{WORDS}{whole}Some talk.\n{two}")]) as url:
        work("openai", url, workspace, ledger, mode="patch")
    assert (workspace.path / "src/new.c").read_text() == "int f(void);\n"
    assert kernel(workspace).startswith("#define UNROLL 6\n")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (block("#define UNROLL 9", "x"), "is not in the file"),
        (block("int", "x", path="verify.py"), "`verify.py` is not editable"),
        (block("int", "x", path="../../etc/passwd"), "leads out of your folder"),
        (block("int", "x", path="src/none.c"), "write it as a whole"),
        ("FILE: src/kernel.c\n<<<<<<< SEARCH\nint", "has no `>>>>>>> REPLACE`"),
        ("FILE: src/kernel.c\n<<<<<<< SEARCH\nint\n>>>>>>> REPLACE", "needs one line `=======`"),
        ("<<<<<<< WHOLE\nint\n>>>>>>> WHOLE", "no line `FILE: path`"),
        ("FILE: src/kernel.c/x.c\n<<<<<<< WHOLE\nint\n>>>>>>> WHOLE", "`x.c` cannot be written"),
        ("I would unroll.", "no block with a change"),
        ("", "no block with a change"),
    ],
)
def test_an_answer_that_does_not_fit_has_one_repair_turn(workspace, ledger, wrong, words):
    with model_server([say(wrong), EDIT]) as url:
        report = work("openai", url, workspace, ledger, mode="patch")
    assert len(url.requests) == 2
    assert words in last(url.requests[1])
    assert report.finish_reason == "submitted"
    assert kernel(workspace).startswith("#define UNROLL 8\n")


def test_nothing_of_an_answer_is_applied_when_a_part_of_it_does_not_fit(workspace, ledger):
    before = kernel(workspace)
    with model_server([say(block("#define UNROLL 4", "#define UNROLL 8") + block("nonsense", "x"))]) as url:
        report = work("openai", url, workspace, ledger, mode="patch")
    assert len(url.requests) == 2
    assert kernel(workspace) == before
    assert report.finish_reason == "unusable"
    assert "could not be applied" in report.lesson


def test_a_broken_guardrail_uses_the_repair_turn_which_starts_from_the_untouched_files(workspace, ledger):
    rule = "src/kernel.c:1: matches guardrails.forbid `UNROLL 8`"
    ledger.broken = lambda: (rule,) if "UNROLL 8" in kernel(workspace) else ()
    with model_server([EDIT, say(block("#define UNROLL 4", "#define UNROLL 6"))]) as url:
        report = work("anthropic", url, workspace, ledger, mode="patch")
    assert rule in json.loads(f"[{last(url.requests[1])}]")[0]["content"]
    assert kernel(workspace).startswith("#define UNROLL 6\n")
    assert report.finish_reason == "submitted"


def test_a_guardrail_that_stays_broken_is_left_to_the_verdict(workspace, ledger):
    ledger.broken = lambda: ("src/kernel.c: too large",)
    with model_server([EDIT]) as url:
        report = work("openai", url, workspace, ledger, mode="patch")
    assert len(url.requests) == 2
    assert report.finish_reason == "submitted"
    assert "UNROLL 8" in kernel(workspace)


def test_a_refusal_and_a_cut_answer_are_told_apart(workspace, ledger):
    with model_server([{**EDIT, "stop": "length"}, {**say("I cannot."), "stop": "refused"}]) as url:
        report = work("anthropic", url, workspace, ledger, mode="patch")
    assert "cut off at its length limit" in last(url.requests[1])
    assert (report.finish_reason, report.error) == ("error", "the model refuses: I cannot.")


def test_one_turn_leaves_no_repair(workspace, ledger):
    with model_server([say("hm")]) as url:
        work("openai", url, workspace, ledger, make_brief(turns=1), mode="patch")
    assert len(url.requests) == 1


def test_tool_calls_of_a_model_that_has_no_tools_do_not_count(workspace, ledger):
    with model_server([calls(bash={"command": "touch src/x.c"}), EDIT]) as url:
        work("openai", url, workspace, ledger, mode="patch")
    assert not (workspace.path / "src/x.c").exists()
    assert "UNROLL 8" in kernel(workspace)


def test_files_that_do_not_fit_into_one_prompt_are_told_before_any_call(tmp_path):
    (tmp_path / "big.c").write_bytes(b"x" * 300_000)
    agent = ToolLoop(settings("openai", "http://127.0.0.1:1", mode="patch"))
    with pytest.raises(WorkflowError, match=r"mode: patch.*300 kB, more than 200 kB"):
        agent.check(tmp_path, ["big.c"])


def test_words_and_blocks_are_read_whatever_stands_around_them():
    answer = parse("Sure!\r\nHYPOTHESIS: a\r\n```\r\n" + block("x", "LESSON: not this") + "```\n")
    assert (answer.hypothesis, answer.lesson) == ("a", "")
    assert [(b.path, b.old, b.new) for b in answer.blocks] == [("src/kernel.c", "x\n", "LESSON: not this\n")]
    with pytest.raises(BadAnswer):
        parse("HYPOTHESIS: a")
