"""kill -9 with every role at work: no answer is lost or asked for twice, no lesson comes twice, the ledger adds up."""

import re
import sqlite3
from collections import Counter

import pytest
from killing import FOREVER, check_whole, killed_at
from model_server import calls, model_server
from support import run, setting_x, write_source

from loopsmith import workflow
from loopsmith.tracker import open_store

PRICE = {"input": 1.0, "output": 10.0}


def roles(body):
    """A planner, a reviewer that passes, and a reflector that learns one thing from each candidate."""
    (tool,) = [tool["function"]["name"] for tool in body["tools"]]
    prompt = body["messages"][1]["content"]
    if tool == "plan":
        return calls(plan={"hypotheses": [f"idea {n} of {len(prompt)}" for n in range(3)]})
    if tool == "review":
        return calls(review={"verdict": "pass"})
    numbers = [int(number) for number in re.findall(r"(?m)^#### c(\d+):", prompt)]
    return calls(
        remember={
            "findings": [{"kind": "lesson", "text": f"Number {n} says {n * 7}.", "candidates": [n]} for n in numbers]
        }
    )


def check_roles(path, url):
    """One answer to each question, one settled call for each answer, at most one more call than answers."""
    tracker = workflow.load(path).state / "tracker.db"
    with open_store(tracker, read_only=True) as store:
        (campaign,) = store.campaigns()
        answers = store.answers(campaign.id)
        assert set(Counter((item.role, item.key) for item in answers).values()) == {1}
        assert {item.role for item in answers} == {"planner", "reviewer", "reflector", "profile"}
        assert all(item.data for item in answers)
        assert all(item.used for item in answers if item.role == "reflector")
        lessons = store.lessons(campaign.id)
        assert sorted((item.text, item.numbers) for item in lessons) == [
            (f"Number {n} says {n * 7}.", (n,)) for n in (1, 2, 3)
        ]
    with sqlite3.connect(tracker) as connection:
        rows = connection.execute("SELECT settled, cost_usd FROM usage").fetchall()
    asked = [item for item in answers if item.role != "profile"]
    assert sum(settled for settled, _ in rows) == len(asked)
    assert len(rows) <= len(asked) + 1, "a call that a kill interrupted stays reserved, and no other is made twice"
    assert len(url.requests) <= len(asked) + 1
    assert all(cost > 0 for _, cost in rows)


@pytest.mark.parametrize(("after", "first"), [(False, 1), (True, 2)], ids=["before a commit", "after a commit"])
def test_a_campaign_with_roles_killed_at_any_commit_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch, after, first):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-key")
    for commit in range(first, FOREVER, 4):
        with model_server(roles) as url:
            model = {"kind": "openai", "model": "m", "base_url": f"{url}/v1", "price": PRICE, "max_tokens": 500}
            path = write_source(
                tmp_path / str(commit),
                agent=setting_x(20, 5, 30),
                budget={"candidates": 3, "rounds": None},
                search={"workers": 1},
                roles={
                    "profile": {"command": "echo hot"},
                    "planner": {"model": model},
                    "reviewer": {"model": model},
                    "reflector": {"model": model},
                },
            )
            killed = killed_at(path, commit, after=after)
            run(path)
            check_whole(path, value=30, candidates=3)
            check_roles(path, url)
        if not killed:
            break
    assert commit > 40, "a campaign of three candidates with roles has more transitions than that"
