"""Programs of several shapes become drafts: each guess quotes its line, and what is missing is listed.

The programs under `programs/` were written for these tests.
"""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopsmith.workflow import load, render
from loopsmith.workflow.adopt import draft, escape
from loopsmith.workflow.render import VARIABLES

PROGRAMS = Path(__file__).parent / "programs"
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.md"))


def text_of(name):
    return (PROGRAMS / f"{name}.md").read_text()


def adopted(folder, name, **options):
    """The workflow that a program becomes, validated."""
    made = draft(text_of(name), **options)
    path = folder / "WORKFLOW.md"
    path.write_text(made.text)
    return made, load(path)


# metric, direction, editable, protected, command, timeout in seconds
EXPECTED = {
    "nightly": ("bits_per_char", "minimize", ["model.py"], ["corpus.py"], "uv run model.py", 720),
    "terse": ("holdout_rmse", "minimize", ["fit.py"], ["data.py"], "python fit.py", 90),
    "fitness": (
        "serving_score",
        "maximize",
        ["server_conf.py"],
        ["judge.py", "notes.md"],
        "python judge.py --port 8080 --config server_conf.py",
        900,
    ),
    "session": (
        "total_ms",
        "minimize",
        ["lib/lexer.rb", "lib/parser.rb", "lib/support/list.rb"],
        ["spec/a.rb", "measure.sh", "lib/support/version.rb"],
        "./measure.sh",
        600,
    ),
    "fenced": ("tok_per_sec", "maximize", ["knobs.py"], ["rig.py"], "python knobs.py", 600),
    "prose": ("Coverage", "maximize", ["points.json"], ["trace.c", "run_all.sh"], "./trace points.json", 600),
    "crate": (
        "gib_per_s",
        "maximize",
        ["src/arch/avx.rs"],
        ["src/portable.rs"],
        'cargo bench --bench hash > bench.log 2>&1 && grep "^gib_per_s:" bench.log | tail -1',
        300,
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_the_draft_says_what_the_program_says(tmp_path, name):
    metric, direction, editable, protected, command, timeout = EXPECTED[name]
    made, workflow = adopted(tmp_path, name)
    settings = workflow.settings
    assert made.complete
    assert (settings.objective.metric, settings.objective.direction) == (metric, direction)
    assert [path for path in (*editable, *protected) if workflow.editable(path)] == editable
    assert (settings.verify.command, settings.verify.timeout) == (command, timeout)


@pytest.mark.parametrize("name", NAMES)
def test_each_comment_quotes_the_line_that_it_names(name):
    made, lines = draft(text_of(name)), text_of(name).split("\n")
    front = made.text.split("\n---\n")[0]
    quoted = re.findall(r'# .*?line (\d+): "(.*)"$', front, re.MULTILINE)
    assert len(quoted) >= 5
    for number, quote in quoted:
        rest = " ".join(" ".join(lines[int(number) - 1 :]).split())
        assert quote.rstrip("…").strip() in rest
        assert rest.index(quote.rstrip("…").strip()) < len(lines[int(number) - 1])
    assert max(map(len, front.split("\n"))) <= 120
    for key, value, line in made.findings:
        assert key.split(".")[-1] in front
        assert value in front
        assert 1 <= line <= len(lines)


@pytest.mark.parametrize("name", NAMES)
def test_the_prompt_holds_the_program_as_it_was_below_a_note_and_above_the_brief(tmp_path, name):
    _, workflow = adopted(tmp_path, name)
    values = {key: 1 if key in ("round", "attempt") else f"<{key}>" for key in VARIABLES}
    prompt = render(workflow.body, values)
    assert f"\n\n{text_of(name).strip()}\n\n<brief>" in prompt
    assert prompt.startswith("> You work for loopsmith")


def test_the_note_names_what_loopsmith_takes_over_in_the_program_s_words():
    body = draft(text_of("nightly")).text
    note = " ".join(body[body.index("> You work") : body.index("# nightly\n")].split())
    for words in ('"git commit"', '"git reset --hard HEAD~1"', '"results.tsv"', '"LOOP FOREVER"', '"NEVER STOP"'):
        assert words in note
    plain = draft("# Fast\n\nGoal: minimize `run_seconds`. Only edit `a.py`. Run it with `python a.py`.\n").text
    assert "loopsmith's, whatever the program says" not in plain


@given(st.text(alphabet="{}%#ab'\" \\\n", max_size=40))
def test_any_text_is_escaped_so_that_the_template_renders_to_it(text):
    body = f"{escape(text)}."
    assert render(body + "{{ brief }}", dict.fromkeys(VARIABLES, "")) == text + "."


def test_a_soft_constraint_becomes_a_secondary_metric_with_a_tolerance(tmp_path):
    made, workflow = adopted(tmp_path, "nightly")
    assert {key: str(value) for key, value in workflow.settings.decide.secondary.items()} == {
        "peak_vram_mb": "at most 20% more"
    }
    assert "peak_vram_mb: at most 20% more  # 20% is a guess; line 28:" in made.text
    assert any("how much worse peak_vram_mb may get; 20% is a guess" in words for words in made.missing)
    assert str(adopted(tmp_path, "fitness")[1].settings.decide.secondary["peak_ram_gb"]) == "at most 10% more"
    assert list(adopted(tmp_path, "fenced")[1].settings.decide.secondary) == ["peak_ram_mb", "first_token_ms"]


def test_a_liking_for_simple_programs_needs_the_smallest_gain_that_counts(tmp_path):
    settings = adopted(tmp_path, "nightly")[1].settings
    assert settings.decide.simplify
    assert (settings.objective.min_effect.value, settings.objective.min_effect.relative) == (0.002, False)
    without = draft(text_of("nightly").replace("0.002 bits", "tiny bits"))
    assert "\n  simplify:" not in without.text
    assert any(words.startswith("decide.simplify: ") for words in without.missing)


def test_metrics_that_loopsmith_reads_by_itself_need_no_pattern_and_others_get_one(tmp_path):
    assert adopted(tmp_path, "nightly")[1].settings.verify.metrics == {}
    ((name, pattern),) = adopted(tmp_path, "prose")[1].settings.verify.metrics.items()
    assert name == "Coverage"
    assert pattern.search("Coverage: 12.5%")[1] == "12.5"


@pytest.mark.parametrize(
    ("line", "shown", "value"),
    [
        ("loss = 0.25", "loss = 0.125", "0.125"),
        ("loss: 0.25 (best 0.20)", "loss: 1e-3 (best 0.2)", "1e-3"),
        ("loss: $3.50", "loss: $2.75", "2.75"),
        ("METRIC: loss=0.25", "METRIC: loss=-0.5", "-0.5"),
    ],
)
def test_other_forms_of_a_sample_are_read_as_they_stand(line, shown, value):
    text = f"Minimize `loss`. Only edit `a.py`.\n\n## Output\n\n```\n{line}\n```\n\nRun: `python a.py`\n"
    made = draft(text)
    pattern = next(value for key, value, _ in made.findings if key == "verify.metrics.loss")
    assert re.search(pattern, shown)[1] == value


def test_data_below_the_home_folder_is_readable_and_the_rest_depends_on_folder_and_machine(tmp_path):
    made, workflow = adopted(tmp_path, "nightly", there=lambda path: path != ".venv")
    assert [str(path) for path in workflow.settings.verify.read] == [str(Path("~/.cache/nightly").expanduser())]
    assert workflow.settings.workspace.link == ()
    assert workflow.settings.verify.resources.gpu == 0
    assert any("verify.resources" in words for words in made.missing)
    assert any(".venv" in words for words in made.missing)
    made, workflow = adopted(tmp_path, "nightly", there=lambda path: path == ".venv", gpus=1)
    assert workflow.settings.workspace.link == (".venv",)
    assert workflow.settings.verify.resources.gpu == 1
    assert "model.py, which the program edits, is not in the folder" in made.missing


def test_what_the_draft_cannot_hold_is_listed(tmp_path):
    missing = "\n".join(adopted(tmp_path, "session")[0].missing)
    assert 'verify.checks: a command that shows it for line 23: "all tests must pass"' in missing
    assert "decide.secondary: which metric line 8 means" in missing
    assert "verify.timeout: no time limit of a run; 10m is a guess" in missing


def test_a_program_that_says_nothing_gives_a_draft_with_all_that_is_needed_left_open(tmp_path):
    made = draft("Please make it better.\n")
    assert not made.complete
    assert made.findings == ()
    assert "  metric:  # NOT FOUND: the metric that the run prints\n" in made.text
    for key in ("objective.metric", "objective.direction", "workspace.editable", "verify.command"):
        assert any(words.startswith(f"{key}: ") for words in made.missing)


def test_parts_of_a_command_that_a_person_must_fill_in_are_named():
    made = draft("Minimize `cost`. Only edit `a.py`. Run the experiment: `python run.py --tag <tag> --id {N}`\n")
    assert not made.complete
    assert "verify.command: fill in <tag>, {N}" in made.missing


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("Goal: get the highest `score`.", "maximize"),
        ("Primary metric: **wall_ms** (lower is better).", "minimize"),
        ("If val_loss improved (lower), keep.", "minimize"),
        ("The objective is `val_loss`.", "minimize"),
        ("Your job: push `accuracy` as high as you can, and maximize accuracy only.", "maximize"),
    ],
)
def test_the_direction_is_read_or_guessed_from_the_name(text, direction):
    assert ("objective.direction", direction) in [(key, value) for key, value, _ in draft(text).findings]


@pytest.mark.parametrize(
    "text",
    [
        "Modify `a.py`, never `b.py`.",
        "Edit ONLY `a.py`. Never touch `b.py`.",
        "`b.py` is read-only; `a.py` is the only file you edit.",
        "The only file that you must not modify is `b.py`.\n\nYou may edit:\n\n- `a.py`\n",
        "| `a.py` | editable |\n| `b.py` | immutable |\n",
        "**What you CANNOT do:**\n- Modify `b.py`.\n\n**What you CAN do:**\n- Modify `a.py`.\n",
    ],
)
def test_files_that_may_and_may_not_be_changed_are_told_apart(text):
    found = draft(text)
    assert [value for key, value, _ in found.findings if key == "workspace.editable"] == ["[a.py]"]
    assert "  # - b.py: line" in found.text


def test_control_characters_of_a_program_leave_the_draft_one_that_can_be_read(tmp_path):
    made = draft(text_of("terse").replace(".\n", ". \x1b[0m\x00\n").replace("`python", "\x1b[1m`python"))
    path = tmp_path / "WORKFLOW.md"
    path.write_text(made.text)
    assert load(path).settings.objective.metric == "holdout_rmse"


def test_the_same_program_gives_the_same_draft():
    assert draft(text_of("nightly")) == draft(text_of("nightly"))


@given(st.text(alphabet="#`*-|:=\n ab._1{}\"'\\<>", max_size=120))
def test_any_text_gives_a_draft_that_a_person_can_complete(text):
    made = draft(f"x{text}")
    assert made.text.startswith("---\n")
    assert made.text.count("\n---\n") >= 1


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("Run the experiment: `.venv/bin/python a.py > run.log 2>&1`", ".venv/bin/python a.py"),
        ("`uv run old.py` is not used. Run it with `make bench | tee out.txt`.", "make bench"),
        ("If the data is missing, run `python get.py`.\n\nThen run `python a.py`.", "python a.py"),
        (
            "Run:\n\n```bash\n$ SEED=1 nohup python a.py \\\n    --steps 10 &> log.txt &\n```\n",
            "SEED=1 nohup python a.py --steps 10",
        ),
        ("Run: `timeout -k 10 --signal=INT 600 python a.py`", "python a.py"),
        ("1. `git commit`\n2. `./bench.sh 3 2>&1 | tee -a log`\n3. `grep x log`", "./bench.sh 3"),
    ],
)
def test_the_command_of_one_experiment_is_told_from_others_and_loses_its_redirections(text, command):
    assert ("verify.command", command) in [(key, value) for key, value, _ in draft(text).findings]


def test_a_line_of_a_sample_that_is_marked_as_the_primary_metric_is_the_metric():
    text = "# Output\n\nIt prints:\n\n```\nPeriods  : 1509\nSharpe   : 0.73    <-- PRIMARY METRIC\n```\n"
    found = {key: value for key, value, _ in draft(text).findings}
    assert (found["objective.metric"], found["objective.direction"]) == ("Sharpe", "maximize")
