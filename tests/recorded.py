"""The recorded campaign under tests/recordings, and how it was made: `PYTHONPATH=tests python tests/recorded.py`.

A planner, workers with tools and workers that answer with a patch; good ideas, bad ones, and some that break.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from model_server import by_turn, calls, model_server, say
from support import run, write_source

from loopsmith import workflow
from loopsmith.agents.recording import Tape, to_record
from loopsmith.tracker import open_store

FOLDER = Path(__file__).parent / "recordings" / "tiny"
ENDPOINTS = ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL")
PLANS = [
    ["raise X to 14", "print the score from the program", "raise X to 13, with a syntax error first"],
    ["raise X to 19", "raise X to 16", "let the program fail"],
]


def block(old: str, new: str) -> str:
    return f"FILE: program.sh\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"


def submit(lesson: str) -> dict[str, Any]:
    return calls(submit={"hypothesis": "", "summary": "as asked", "lesson": lesson})


IDEAS: dict[str, list[dict[str, Any]]] = {
    "raise X to 14": [
        calls(view={"path": "program.sh"}, search_memory={"query": "X"}),
        calls(edit={"path": "program.sh", "old": "X=10", "new": "X=14"}),
        submit("X is the score"),
    ],
    "print the score from the program": [
        calls(bash={"command": "cat verify.sh; time sh verify.sh; pwd; date; echo $$"}),
        calls(bash="{broken", teleport={}),
        calls(write={"path": "verify.sh", "content": "echo METRIC score=99\n"}),
        calls(bash={"command": "echo 'echo METRIC score=99' >> program.sh"}),
        submit("a second score is no score"),
    ],
    "raise X to 13, with a syntax error first": [
        calls(bash={"command": "sed -i 's/^X=.*/X=13/' program.sh"}),
        submit("13 is more than 10"),
    ],
    "raise X to 19": [
        calls(bash={"command": "sed -i 's/^X=.*/X=19/' program.sh; sh verify.sh"}),
        submit("19 works"),
    ],
    "raise X to 16": [
        calls(edit={"path": "program.sh", "old": "X=14", "new": "X=16"}),
        submit("16 works"),
    ],
    "let the program fail": [
        calls(bash={"command": "echo 'date; exit 3' >> program.sh"}),
        submit("it fails"),
    ],
}
PATCHES = {
    "raise X to 14": [block("X=10", "X=14")],
    "print the score from the program": [block("Y=0", "echo METRIC score=99")],
    "raise X to 13, with a syntax error first": [block("X=11", "X=13"), block("X=10", "X=13")],
    "raise X to 19": [block("X=14", "X=19")],
    "raise X to 16": [block("X=14", "X=16")],
    "let the program fail": [block("Y=0", "date; exit 3")],
}


def mind(body: dict[str, Any]) -> dict[str, Any]:
    """The model behind the recording: what it does depends on what it is asked alone."""
    text = json.dumps(body["messages"], ensure_ascii=False)
    tools = [tool.get("function", tool)["name"] for tool in body.get("tools", ())]
    if tools == ["plan"]:
        return calls(plan={"hypotheses": PLANS["Round 2" in text]})
    if tools == ["remember"]:
        found = {"kind": "lesson", "text": "the score is X", "candidates": [1]}
        return calls(remember={"findings": [found] if "X=14" in text else []})
    idea = next((idea for idea in IDEAS if f"Your hypothesis: {idea}" in text), None)
    assert idea is not None, text
    if not tools:
        answers = [say(f"HYPOTHESIS: {idea}\nLESSON: by patch\n\n{patch}") for patch in PATCHES[idea]]
        return by_turn(answers)(body)
    slow = 0.3 if idea == "raise X to 14" else 0.0  # so that workers do not end in the order of their numbers
    return by_turn(IDEAS[idea])(body) | {"delay": slow}


def write_workflow(folder: Path) -> Path:
    """The workflow does not name its endpoint, as it is part of the source: $OPENAI_BASE_URL and the like do."""
    price = {"input": 1.0, "cached": 0.1, "output": 10.0}
    common = {"model": "recorded", "price": price, "max_tokens": 1000, "api_key": "$RECORDED_KEY"}
    return write_source(
        folder,
        agent=[
            {"kind": "openai", "name": "tools", "weight": 2, **common},
            {"kind": "anthropic", "name": "patch", "mode": "patch", **common},
        ],
        search={"candidates_per_round": 3, "workers": 3, "plan": True},
        budget={"rounds": 2, "wall_clock": "1h", "cost_usd": 5},
    )


def decisions(path: Path, number: int = -1) -> str:
    """All that the newest (or first: 0) campaign decided, as text that is the same for the same decisions."""
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        campaign = sorted(store.campaigns(), key=lambda each: each.created_at)[number]
        found = []
        for each in store.candidates(campaign.id):
            decision = store.decision(each.id)
            assert decision is not None
            said = (each.number, each.agent, each.hypothesis, each.lesson, each.tried, each.finish_reason, each.tree)
            runs = store.measurements(campaign.id, candidate_id=each.id)
            values = [(m.phase, m.pair, m.metric, m.value, m.seed) for m in runs]
            effect = decision.effect and [decision.effect.mean, decision.effect.low, decision.effect.high]
            found.append([*said, decision.verdict, decision.rule, decision.reason, effect, values])
        spent = store.spent(campaign.id)
    found.append([spent.calls, spent.input_tokens, spent.output_tokens, round(spent.cost_usd, 9)])
    return "\n".join(json.dumps(line) for line in found) + "\n"


def record(path: Path, folder: Path) -> Tape:
    tape = to_record(folder)
    run(path, tape=tape)
    return tape


def main() -> None:
    os.environ["RECORDED_KEY"] = "sk-secret-of-the-recording"
    shutil.rmtree(FOLDER, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder, model_server(mind) as url:
        os.environ |= {name: str(url) for name in ENDPOINTS}
        path = write_workflow(Path(folder))
        record(path, FOLDER)
        (FOLDER.parent / "tiny.decisions").write_text(decisions(path))


if __name__ == "__main__":
    main()
