"""Bad input: each problem is one line that says where it is and what to do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopsmith.errors import WorkflowError
from loopsmith.workflow import load

TOP = (
    "there are name, objective, workspace, verify, calibrate, repeats, decide, budget, search, agent, roles, "
    "guardrails, memory, hooks, notify, observe, sandbox"
)


def problems_of(path, overrides=()):
    with pytest.raises(WorkflowError) as caught:
        load(path, overrides)
    return list(caught.value.problems)


# The extra front matter starts in line 5.
EXTRA = [
    ("budgets: {}", "5: unknown key `budgets`; did you mean `budget`?"),
    ("budget: {round: 3}", "5: unknown key `budget.round`; did you mean `budget.rounds`?"),
    ("search:\n  workers: 2\n  polcy: greedy", "7: unknown key `search.polcy`; did you mean `search.policy`?"),
    ("timeout: 5m", "5: unknown key `timeout`; did you mean `verify.timeout`?"),
    ("zzz: 5", f"5: unknown key `zzz`; {TOP}"),
    ("calibrate: {zzz: 5}", "5: unknown key `calibrate.zzz`; `calibrate` has runs"),
    (
        "objective.target: 5",
        "5: unknown key `objective.target`; a dotted key is for --set, in the file `target` stands below `objective`",
    ),
    ("agent: {constants: {B: {low: 1, high: 2, hi: 5}}}",
     "5: unknown key `agent.constants.B.hi`; did you mean `agent.constants.B.high`?"),
    ("agent: {model: x}",
     "5: unknown key `agent.model` for the agent kind `tuner`; it belongs to the kind anthropic or openai or cli or"
     " acp"),
    ("agent: {kind: antropic}", "5: `agent.kind`: `antropic` is not installed; did you mean `anthropic`?"),
    ("agent: {kind: 5}", "5: `agent.kind` must be text, not `5`; put it in quotes: '5'"),
    ("agent:\n  kind: anthropic", "5: `agent.model` is missing (the model's name, as the provider writes it)"),
    ("agent: tuner", "5: `agent` must be a map of `key: value` lines, not the text `tuner`"),
    ("agent: {kind: openai, model: m, base_url: localhost:80}",
     "5: `agent.base_url`: `localhost:80` is not a URL; it starts with http:// or https://"),
    ("agent: {kind: openai, model: m, price: {input: 1}}", "5: `agent.price.output` is missing (output tokens)"),
    ("agent: {kind: openai, model: m, api_key: 5}",
     "5: `agent.api_key`: it must name an environment variable, such as $OPENAI_API_KEY"),
    ("agent: {kind: openai, model: m, temperature: 3}", "5: `agent.temperature` must be at most 2, not `3`"),
    ("agent: [{kind: openai, model: m, effrt: low}]",
     "5: unknown key `agent.agents.effrt` item 1; did you mean `agent.agents.effort` item 1?"),
    ("agent: [{kind: tuner, weight: 0}]", "5: `agent.agents.weight` item 1: must be above 0"),
    ("agent: [{kind: tuner}, [{kind: tuner}]]",
     "5: `agent`: one of its agents is a list of agents itself; write all agents into one list"),
    ("agent: []", "5: `agent.agents` is an empty list; it needs at least 1 item"),
    ("agent: {agents: [{kind: tuner}], choose: luck}", "5: `agent.choose` must be `weight` or `bandit`, not `luck`"),
    ("agent: {kind: openai, model: m, mode: guess}", "5: `agent.mode` must be `tools` or `patch`, not `guess`"),
    ("agent: {kind: anthropic, model: m, thinking: 100}",
     "5: `agent`: thinking must be 1024 or more and below max_tokens (8192)"),
    ("agent: {kind: scripted}", "5: `agent`: a scripted agent needs either patches or commands"),
    ("agent: {constants: {B: {low: 5, high: 1}}}", "5: `agent.constants.B`: low (5) must be below high (1)"),
    ("agent: {constants: {B: {low: 0, high: 1, log: true}}}",
     "5: `agent.constants.B`: log needs a low above 0, not 0"),
    ("agent: {constants: {B: []}}", "5: `agent.constants.B` is an empty list; it needs at least 1 item"),
    ("agent: {constants: {B: [1, {}]}}",
     "5: `agent.constants.B` item 2: a choice is a number, a text, true or false"),
    ("search: {policy: greedi}", "5: `search.policy`: `greedi` is not installed; did you mean `greedy`?"),
    ("search: {epsilon: 0.5}", "5: `search`: epsilon needs policy: epsilon, and it is greedy"),
    ("search: {policy: beam, islands: 3}", "5: `search`: islands needs policy: islands, and it is beam"),
    ("search: {options: {a: 1}}", "5: `search`: the policy greedy takes no options"),
    ("search: {plan: yes}", "5: `search.plan` must be true or false, not the text `yes`"),
    ("roles: {planner: maybe}",
     "5: `roles.planner`: it is on, off, auto, or a map with the keys command, model, share"),
    ("roles: {planer: on}", "5: unknown key `roles.planer`; did you mean `roles.planner`?"),
    ("roles: {profile: gprof}",
     "5: `roles.profile`: it is on, off, one of cprofile, py-spy, perf, torch, ncu, or a map with the key command"),
    ("roles: {profile: {recipe: perf, command: x}}",
     "5: `roles.profile`: give either a recipe (with run) or a command (with file)"),
    ("roles: {profile: {file: x}}", "5: `roles.profile`: file is what a command writes; give the command too"),
    ("roles: {reviewer: {share: 150%}}", "5: `roles.reviewer.share` must be at most 1, not `150%`"),
    ("roles: {reflector: {command: x, model: {kind: openai, model: m}}}",
     "5: `roles.reflector`: give either a command or a model"),
    ("roles: {planner: {model: {kind: openai, model: m, base_ur: x}}}",
     "5: unknown key `roles.planner.model.base_ur`; did you mean `roles.planner.model.base_url`?"),
    ("roles: {planner: {model: {kind: anthropic}}}",
     "5: `roles.planner.model.model` is missing (the model's name, as the provider writes it)"),
    ("roles: {planner: {model: {kind: tuner}}}",
     "5: `roles.planner.model`: its kind is openai or anthropic, and its other keys are those of such an agent"),
    ("search: {plan: true}\nroles: {planner: off}",
     "6: `roles`: search.plan is the earlier name of roles.planner; give only roles.planner"),
    ("notify: {on: [kept]}", "5: `notify` item 1: say how: give a command, a webhook, or desktop: true"),
    ("notify: {webhok: $X}", "5: unknown key `notify.webhok` item 1; did you mean `notify.webhook` item 1?"),
    ("notify: {webhook: hooks.example.org/x}",
     "5: `notify.webhook` item 1: it is not a URL; it starts with http:// or https://"),
    ("notify: [{desktop: true}, {desktop: true, on: [keep]}]",
     "5: `notify.on` item 2 item 1 must be `kept`, `quarantined`, `stalled`, `budget`, `finished` or `failed`, not "
     "`keep`"),
    ("notify: desktop", "5: `notify` must be a list, such as [a, b], not the text `desktop`"),
    ("observe: mlfow", "5: `observe.mlfow`: `mlfow` is not installed; did you mean `mlflow`?"),
    ("observe: [otel, otel]", "5: `observe`: otel is given twice"),
    ("observe: {wandb: {mode: of}}", "5: `observe.wandb.mode` must be `online` or `offline`, not `of`"),
    ("observe: {mlflow: {experimnt: x}}",
     "5: unknown key `observe.mlflow.experimnt`; did you mean `observe.mlflow.experiment`?"),
    ("observe:\n  mlflow:", "6: `observe.mlflow`: it has no value; write {} for its defaults"),
    ("search: {workers: 0}", "5: `search.workers` must be at least 1, not `0`"),
    ("sandbox: on", "5: `sandbox` must be `auto`, `required` or `off`, not `on`"),
    ("guardrails: {network: no}", "5: `guardrails.network` must be `none`, `verifier` or `allow`, not `no`"),
    ("guardrails:\n  forbid:\n    - ok\n    - '('",
     "8: `guardrails.forbid` item 2: `(` is not a regular expression: missing ), unterminated subpattern at position "
     "0"),
    ('guardrails: {forbid: ["\\bseed\\b"]}',
     "5: `guardrails.forbid` item 1: it holds a backspace character; in double quotes write \\\\b, or use "
     "single quotes"),
    ('guardrails: {forbid: ["\\d+"]}',
     "5: the front matter is not valid YAML: found unknown escape character 'd'; in double quotes write \\\\ for a "
     "backslash, or use single quotes"),
    ("budget: {wall_clock: 1:30}",
     "5: `budget.wall_clock`: `1:30` is not a duration; write it as 1m30s or 1h30m"),
    ("budget: {wall_clock: soon}",
     "5: `budget.wall_clock`: `soon` is not a duration; write it as 90s, 10m, 8h, 1h30m or 2d"),
    ("budget: {wall_clock: 0}", "5: `budget.wall_clock` must be more than 0, not `0`"),
    ("budget: {wall_clock: -5}", "5: `budget.wall_clock`: `-5` is not a duration: it is below zero"),
    ("budget: {rounds: 1.5}", "5: `budget.rounds` must be a whole number, not `1.5`"),
    ("budget: {rounds: '5'}", "5: `budget.rounds` must be a whole number, not the text `5`"),
    ("budget: {rounds: true}", "5: `budget.rounds` must be a whole number, not `true`"),
    ("budget: {cost_usd: 5 EUR}",
     "5: `budget.cost_usd`: `5 EUR` is not an amount of money; write it as $20, 0.50 or 20 USD (US dollars)"),
    ("budget: {per_worker: {tokens: many}}",
     "5: `budget.per_worker.tokens`: `many` is not a count; write it as 200000, 200k or 2M"),
    ("budget: [1]", "5: `budget` must be a map of `key: value` lines, not a list"),
    ("budget:\n  # rounds: 5", "5: `budget` has no value; give one or remove the line"),
    ("memory: {brief_tokens: 10}", "5: `memory.brief_tokens` must be at least 500, not `10`"),
    ("repeats: {confirm: 1}", "5: `repeats.confirm` must be at least 2, not `1`"),
    ("name: 2024", "5: `name` must be text, not `2024`; put it in quotes: '2024'"),
    ("name: ''", "5: `name`: it is empty"),
    ("name: a\nname: b", "6: `name` is given twice, first in line 5"),
    ("budget: {rounds: 1, rounds: 2}", "5: `budget.rounds` is given twice, first in line 5"),
    ("? [a]\n: b", "5: a key of the front matter must be text; put text that starts with { in quotes"),
    ("name: !env HOME", "5: `name`: the YAML tag `!env` has no meaning here"),
    ("\tname: x",
     "5: the front matter is not valid YAML: found character '\\t' that cannot start any token; indent with spaces, "
     "not tabs"),
    ("name: a: b",
     "5: the front matter is not valid YAML: mapping values are not allowed here; put text that holds a colon and a "
     "space in quotes"),
    ("\nname: @x",
     "6: the front matter is not valid YAML: found character '@' that cannot start any token; put text that starts "
     "with % @ or ` in quotes"),
    ("name: *x",
     "5: the front matter is not valid YAML: found undefined alias 'x'; put text that starts with * or & in quotes"),
    ("name: [x",
     "5: the front matter is not valid YAML: expected ',' or ']', but got '<stream end>'; a bracket is not closed, or "
     "text that holds a comma needs quotes"),
    ("name: \x01", "5: the front matter is not valid YAML: it holds the control character 0x01"),
    ("name: " + "[" * 3000, "2: the front matter is not valid YAML: it is nested too deeply"),
]  # fmt: skip


@pytest.mark.parametrize(("extra", "expected"), EXTRA, ids=[extra[:40] for extra, _ in EXTRA])
def test_a_problem_of_the_front_matter_is_one_line_with_its_place(write, extra, expected):
    assert problems_of(write(extra + "\n")) == [f"WORKFLOW.md:{expected}"]


FRONT = [
    ("objective: {metric: a b, direction: min, min_effect: lots, target: .nan}",
     ["2: `objective.metric`: `a b` is not a metric's name; use letters, digits and `_ . / % @ -`",
      "2: `objective.direction` must be `minimize` or `maximize`, not `min`",
      "2: `objective.min_effect`: `lots` is not an effect; write it as 1% or 0.01",
      "2: `objective.target` must be a finite number, not `nan`"]),
    ("workspace:\n  editable: solve.py\n  link: [../data]\n  max_size: big\n  source: $NOT_SET_ANYWHERE/x",
     ["3: `workspace.editable` must be a list, such as [a, b], not the text `solve.py`",
      "4: `workspace.link` item 1: `../data` is not a path inside the source folder",
      "5: `workspace.max_size`: `big` is not a size; write it as 500kB, 10MB or 2GiB",
      "6: `workspace.source`: `$NOT_SET_ANYWHERE` is not set in the environment"]),
    ("workspace: {editable: []}", ["2: `workspace.editable` is an empty list; it needs at least 1 item"]),
    ("workspace: {editable: ['../x', '#x', ~/x]}",
     ["2: `workspace.editable` item 1: `../x` leaves the source folder; name files relative to it",
      "2: `workspace.editable` item 2: `#x` matches no file",
      "2: `workspace.editable` item 3: `~/x` leaves the source folder; name files relative to it"]),
    ("workspace: {link: []}",
     ["2: `workspace.editable` is missing (the files that a candidate may change, in patterns as .gitignore has "
      "them)"]),
    ("verify:\n  timeout: 5m\n  constraints: {mem: about 5}\n  metrics: {mem: 'mem \\d+'}\n  env: {A B: 1, C: [1]}",
     ["2: `verify.command` is missing (the shell command that prints the metric)",
      '4: `verify.constraints.mem`: `about 5` is not a constraint; write it as "<= 2000", ">= baseline" or '
      '"within 1% of baseline"',
      "5: `verify.metrics.mem`: `mem \\d+` needs exactly one group, around the number",
      "6: `verify.env.A B`: `A B` is not a name of an environment variable",
      "6: `verify.env.C`: a list is not a value for an environment variable; write text in quotes"]),
    ("verify: {command: ' '}", ["2: `verify.command`: it is empty"]),
]  # fmt: skip


@pytest.mark.parametrize(("front", "expected"), FRONT, ids=[front[:30] for front, _ in FRONT])
def test_every_problem_of_a_section_is_reported_in_the_order_of_the_lines(write, front, expected):
    needed = {
        "objective": "objective: {metric: seconds, direction: minimize}\n",
        "workspace": "workspace: {editable: [solve.py]}\n",
        "verify": "verify: {command: python measure.py}\n",
    }
    del needed[front.partition(":")[0]]
    path = write(front=front + "\n" + "".join(needed.values()))
    assert problems_of(path) == [f"WORKFLOW.md:{line}" for line in expected]


def test_a_front_matter_that_says_nothing_lists_every_key_that_is_needed(write):
    assert [problem.partition(" (")[0] for problem in problems_of(write(front=""))] == [
        "WORKFLOW.md:1: `objective.metric` is missing",
        "WORKFLOW.md:1: `objective.direction` is missing",
        "WORKFLOW.md:1: `workspace.editable` is missing",
        "WORKFLOW.md:1: `verify.command` is missing",
    ]


def test_front_matter_and_body_problems_are_reported_together(write):
    path = write("budgets: {}\nsearch: {workers: 0}\n", "\n{{ bref }}\n{{ history }} {{ foo }}\n")
    variables = "brief, objective, baseline, memory, hypothesis, round, attempt, history, files"
    assert problems_of(path, ["repeats.confirm=x"]) == [
        "WORKFLOW.md:5: unknown key `budgets`; did you mean `budget`?",
        "WORKFLOW.md:6: `search.workers` must be at least 1, not `0`",
        "WORKFLOW.md:9: unknown variable `bref`; did you mean `brief`?",
        f"WORKFLOW.md:10: unknown variable `foo`; there are {variables}",
        "--set repeats.confirm: `repeats.confirm` must be a whole number, not the text `x`",
    ]


OVERRIDES = [
    ("budget.rounds", "--set budget.rounds: write it as KEY=VALUE, such as budget.rounds=5"),
    ("=3", "--set =3: write it as KEY=VALUE, such as budget.rounds=5"),
    ("budget..rounds=3", "--set budget..rounds=3: write it as KEY=VALUE, such as budget.rounds=5"),
    ("budget.round=3", "--set budget.round: unknown key `budget.round`; did you mean `budget.rounds`?"),
    ("verify.comand=x", "--set verify.comand: unknown key `verify.comand`; did you mean `verify.command`?"),
    ("budget={round: 1}", "--set budget: unknown key `budget.round`; did you mean `budget.rounds`?"),
    ("verify.command.x=3", "--set verify.command.x: `verify.command` is not a map, so nothing can be set below it"),
    ("search=", "--set search: `search` has no value; give one or remove the line"),
    ("agent={kind: tuner, kind: tuner}", "--set agent: `agent.kind` is given twice"),
    ("agent.kind=openai", "--set agent.kind: `agent.model` is missing (the model's name, as the provider writes it)"),
    (
        "workspace.editable=*.py",
        "--set workspace.editable: `*.py` is not valid YAML: expected alphabetic or numeric character, but found '.'; "
        "put text that starts with * or & in quotes",
    ),
]


@pytest.mark.parametrize(("override", "expected"), OVERRIDES, ids=[override for override, _ in OVERRIDES])
def test_a_problem_of_an_override_names_the_override_instead_of_a_line(write, override, expected):
    assert problems_of(write(), [override]) == [expected]


NO_FRONT = "the file must start with front matter: a line `---`, then `key: value` lines, then a line `---`"
ADOPT = (
    "; it says what is measured (objective.metric, objective.direction, verify.command) and what may be changed "
    "(workspace.editable). `loopsmith adopt WORKFLOW.md` drafts it from the text"
)
FILES = [
    (b"", f"1: {NO_FRONT}"),
    (b"# Title\n---\n", f"1: {NO_FRONT}{ADOPT}"),
    (b"---\nname: x\n", "1: the front matter that starts here is not closed by a line `---`"),
    (b"---\n- a\n---\n", "2: the front matter must be a map of `key: value` lines"),
    (b"---\njust text\n---\n", "2: the front matter must be a map of `key: value` lines"),
    (b"---\nname: \xff\n---\n", "2: the byte 0xff is not UTF-8; save the file as UTF-8"),
    (b"\xff\xfe-\0-\0-\0", "1: the byte 0xff is not UTF-8; save the file as UTF-8"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "expected"), FILES)
def test_a_file_that_is_no_workflow_is_refused_with_its_line(write, content, expected):
    path = write()
    path.write_bytes(content)
    assert problems_of(path) == [f"WORKFLOW.md:{expected}"]


BODIES = [
    ("{{ brief", "6: the template is not valid: unexpected end of template, expected 'end of print statement'"),
    ("a\n{{ brief|shout }}", "7: the template is not valid: No filter named 'shout'"),
    ("a\n{% raise %}", "7: the template is not valid: Encountered unknown tag 'raise'"),
    ("\n{% include 'x' %}", "7: the template cannot include, import or extend another file"),
    ("\n\n{{ round + 'a' }}",
     "8: the template cannot be rendered: unsupported operand type(s) for +: 'int' and 'str'"),
    ("{{ baseline.value }}", "6: the template cannot be rendered: 'str object' has no attribute 'value'"),
    ("{{ ''.__class__ }}",
     "6: the template cannot be rendered: access to attribute '__class__' of 'str' object is unsafe"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), BODIES)
def test_a_template_error_is_found_before_anything_runs(write, body, expected):
    assert problems_of(write(body=body)) == [f"WORKFLOW.md:{expected}"]


def test_a_source_folder_that_does_not_exist_is_named(write, tmp_path):
    assert problems_of(write(), ["workspace.source=missing"]) == [
        f"--set workspace.source: `workspace.source`: there is no folder `{tmp_path / 'missing'}`"
    ]


def test_a_huge_file_is_refused_before_it_is_read(write):
    path = write()
    path.write_bytes(b"x" * 2_000_000)
    assert problems_of(path) == ["WORKFLOW.md: 2 MB is too large for a workflow; is this the right file?"]


def test_a_missing_file_and_a_folder_without_workflow_are_named(write, tmp_path):
    write().unlink()
    (tmp_path / "empty").mkdir()
    assert problems_of(Path("nope.md")) == ["nope.md: there is no such file"]
    assert problems_of(Path("empty")) == [
        "empty: this folder holds neither WORKFLOW.md nor program.md; name the workflow's file, "
        "or write one with `loopsmith init`"
    ]
    assert problems_of(None) == [
        "the present folder holds neither WORKFLOW.md nor program.md; name the workflow's file, "
        "or write one with `loopsmith init`"
    ]
    assert problems_of(Path("/dev/null")) == ["/dev/null: this is not a regular file"]
    assert problems_of(Path("x" * 5000)) == [f"{'x' * 5000}: it cannot be read: file name too long"]


KEYS = ["name", "budget", "rounds", "agent", "kind", "constants", "verify", "env", "workspace", "editable", "objective"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["1%", "8h", "tuner", "openai"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(key=st.sampled_from(KEYS), value=VALUES)
def test_whatever_a_key_holds_problems_are_sentences_without_jargon(write, key, value):
    path = write(front=f"{json.dumps(key)}: {json.dumps(value)}\n")
    for problem in problems_of(path):
        assert problem.startswith("WORKFLOW.md:")
        assert "\n" not in problem
        assert not any(word in problem for word in ("Input should", "pydantic", "Value error", "Traceback", "NoneType"))


def test_the_message_of_the_error_is_all_its_problems(write):
    path = write("budgets: {}\nsearch: {workers: 0}\n")
    code = f"from loopsmith.workflow import load\nfrom pathlib import Path\nload(Path({str(path)!r}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stderr.endswith(
        "WORKFLOW.md:5: unknown key `budgets`; did you mean `budget`?\n"
        "WORKFLOW.md:6: `search.workers` must be at least 1, not `0`\n"
    )
