"""Which outputs are a score, and why others are not."""

import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopsmith.process import MAX_LINE
from loopsmith.process.output import CappedLog
from loopsmith.verify.metrics import MAX_METRICS, number, read_metrics


@pytest.fixture
def read(tmp_path):
    def read(output, needed=("x",), **patterns):
        log = tmp_path / "log"
        log.write_bytes(output if isinstance(output, bytes) else output.encode())
        return read_metrics(log, {name: re.compile(pattern) for name, pattern in patterns.items()}, needed)

    return read


@pytest.mark.parametrize(
    "output",
    [
        "METRIC x=12.5",
        "starting\n  METRIC  x = 12.5  \ndone\n",
        "x: 12.5",
        "x:12.5\r\n",
        "noise\nx: 1.25e1\nmore noise",
        '{"x": 12.5, "name": "run", "ok": true}',
        'noise\n{"x": 12.5}\n\n  \n',
        "METRIC x=12.5\nx: 12.50\n" + '{"x": 1.25e1}',  # the same value again is no contradiction
        "METRIC x=+12.5",
    ],
)
def test_a_metric_is_read_in_each_of_its_forms(read, output):
    reading = read(output)
    assert reading.problem == ""
    assert reading.metrics["x"] == 12.5


@pytest.mark.parametrize("text", ["nan", "NaN", "inf", "-inf", "Infinity", "1e999"])
@pytest.mark.parametrize("form", ["METRIC x={}", "x: {}"])
def test_a_value_that_is_not_finite_is_no_score(read, form, text):
    assert read(form.format(text)) == ({}, f"metric `x` is not a finite number: {text}")


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1" + "0" * 400])
def test_a_json_value_that_is_not_finite_is_no_score(read, text):
    reading = read(f'{{"x": {text}}}')
    assert reading.metrics == {}
    assert "not a finite number" in reading.problem


@pytest.mark.parametrize("text", ["abc", "1_000", "0x10", "1,5", "--1", "1.2.3", "١٢"])
def test_a_declared_metric_that_is_no_number_is_no_score(read, text):
    assert "not a finite number" in read(f"METRIC x={text}").problem


@pytest.mark.parametrize(
    "output",
    [
        "METRIC x=1\nMETRIC x=2",
        "METRIC x=1\nx: 2",
        'x: 1\n{"x": 2}',
        '{"x": 1, "x": 2}',
        "METRIC x=1\nMETRIC x=1\nMETRIC x=2\n",
        "METRIC x=1." + "0" * 50 + "1\nMETRIC x=1." + "0" * 50 + "2\nx: 3",
    ],
)
def test_two_different_values_are_no_score(read, output):
    assert "two different values" in read(output).problem


@pytest.mark.parametrize(
    "output",
    [
        "",
        "nothing here",
        "METRIC y=1",
        "x is 12",
        "the x: 12",
        "x: 12 ms",
        "METRIC x=12 and more",
        "XMETRIC x=12",
        '{"x": 12}\nlast line',
        '{"x": "12"}',
        '{"x": true}',
        '{"x": {"x": 1}}',
        '[{"x": 1}]',
        '{"x": 12',
        "METRIC x=",
    ],
)
def test_what_is_not_said_in_one_of_the_forms_is_missing(read, output):
    assert read(output) == ({}, "metric `x` is missing from the output")


def test_lines_of_progress_do_no_harm_to_the_metrics_that_are_needed(read):
    reading = read("epoch: 1\nloss: 3\nepoch: 2\nloss: nan\nMETRIC x=5\nmemory_mb: 100\n")
    assert reading == ({"x": 5.0, "memory_mb": 100.0}, "")


def test_every_needed_metric_must_have_a_value(read):
    assert read("METRIC x=1\nMETRIC y=nan", needed=("x", "y", "z")).problem == (
        "metric `y` is not a finite number: nan; metric `z` is missing from the output"
    )


def test_a_named_expression_is_the_only_way_to_its_metric(read):
    output = "x: 99\ntime 12.5 ms (best)\nMETRIC x=98\nMETRIC y=3\n"
    assert read(output, x=r"time (\S+) ms") == ({"x": 12.5, "y": 3.0}, "")
    assert "missing" in read("METRIC x=1", x=r"time (\S+) ms").problem
    assert "two different" in read("time 1 ms\ntime 2 ms", x=r"time (\S+) ms").problem
    assert "not a finite number: fast" in read("time fast ms", x=r"time (\S+) ms").problem
    assert "not a finite number" in read("time  ms", x=r"time (\d+)? ms").problem


def test_names_may_hold_what_the_workflow_allows(read):
    output = "METRIC a/b.c-d%=1\nval_loss@5: 2\nMETRIC größe=3"
    assert read(output, needed=("a/b.c-d%", "val_loss@5", "größe")).metrics == {
        "a/b.c-d%": 1.0,
        "val_loss@5": 2.0,
        "größe": 3.0,
    }


def test_binary_output_around_a_metric_does_no_harm(read):
    noise = bytes(range(256)) * 300
    assert read(noise + b"\nMETRIC x=7\n" + noise).metrics["x"] == 7.0


def test_a_line_that_may_have_been_cut_is_not_read(tmp_path):
    for limit in (1000, 200_000):
        with CappedLog(tmp_path / "log", limit) as log:
            log.write(b"METRIC x=1." + b"2" * 1_000_000 + b"\nMETRIC y=3\n")
        assert read_metrics(tmp_path / "log", {}, ("y",)).metrics == {"y": 3.0}
        reading = read_metrics(tmp_path / "log", {"x": re.compile("x=([0-9.]+)")}, ("x",))
        assert "missing" in reading.problem


def test_a_line_just_short_of_the_longest_is_read(read):
    line = "METRIC x=1." + "0" * (MAX_LINE - 12)
    assert len(line) == MAX_LINE - 1
    assert read(line + "\n").metrics["x"] == 1.0
    assert "missing" in read(line + "0\n").problem


def test_a_program_that_prints_many_metrics_does_not_fill_the_tracker(read):
    flood = "\n".join(f"m{number}: {number}" for number in range(10_000))
    metrics = read(flood + "\nMETRIC x=1").metrics
    assert metrics["x"] == 1.0
    assert len(metrics) <= MAX_METRICS + 1


def test_deeply_nested_json_is_no_score_and_no_crash(read):
    assert "missing" in read('{"x":' * 9_000 + "1" + "}" * 9_000).problem


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_float_comes_back_as_it_was_printed(tmp_path_factory, value):
    log = tmp_path_factory.getbasetemp() / "metric.log"
    for text in (f"METRIC x={value!r}", f"x: {value!r}", json.dumps({"x": value})):
        log.write_text(text)
        assert read_metrics(log, {}, ("x",)).metrics == {"x": value}


@given(st.binary(max_size=400))
def test_no_output_crashes_the_reader_and_no_score_is_not_finite(tmp_path_factory, output):
    log = tmp_path_factory.getbasetemp() / "noise.log"
    log.write_bytes(b"x: 1\n" + output)
    reading = read_metrics(log, {"y": re.compile("(.*)")}, ("x",))
    assert bool(reading.metrics) != bool(reading.problem)
    assert all(map(math.isfinite, reading.metrics.values()))


@given(st.text(max_size=30))
def test_a_number_is_what_python_reads_too(text):
    value = number(text)
    if value is not None:
        assert value == float(text) or math.isnan(value)
