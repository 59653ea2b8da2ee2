"""The process in which an evaluator runs, together with the program that it imports; started by `evaluators`.

What the evaluator returns is written to a file that was open before, as JSON: `values`, `texts`, `problem`.
"""

import importlib.util
import inspect
import json
import os
import pickle
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

from loopsmith.harness.evaluators import empty, parts, readable

LAST_FRAMES = 5  # of a traceback that becomes feedback


class Problem(Exception):
    """What is wrong with the evaluator, or with what it returned."""


def main(arguments: Sequence[str]) -> NoReturn:
    kind, evaluator, metric, descriptor, *programs = arguments
    said: dict[str, Any] = {"values": {}, "texts": {}, "problem": ""}
    try:
        said["values"], said["texts"] = evaluate(kind, evaluator, metric, programs)
    except Problem as problem:
        said["problem"] = str(problem)
    except BaseException as error:  # whatever the program raises, SystemExit too, is its failure
        last = traceback.format_exception_only(error)[-1].strip()
        said["problem"] = f"evaluate() raised {last}" + hint(error)
        said["texts"] = {"traceback": trace(error)}
    sys.stdout.flush()
    sys.stderr.flush()
    with os.fdopen(int(descriptor), "wb") as file:
        file.write(json.dumps(said, default=str).encode("utf-8", "replace"))
    os._exit(0)  # nothing that the program left behind, a thread or an exit handler, runs any more


def evaluate(kind: str, evaluator: str, metric: str, programs: Sequence[str]) -> tuple[dict[str, Any], dict[str, str]]:
    if kind == "improve":
        sys.path.append(os.getcwd())
        with open(evaluator, "rb") as file:
            function = pickle.load(file)
        return read_result(function(Path.cwd()), metric)
    function = load(evaluator)
    if kind == "openevolve":
        return read_result(function(os.path.abspath(programs[0])), metric)
    return of_gepa(function, candidate(programs), metric)


def load(evaluator: str) -> Callable[..., Any]:
    """The function of `FILE` or `FILE:FUNCTION`, as the others load it: the file's folder comes first on the path."""
    path, _, name = evaluator.partition(":")
    if not os.path.isfile(path):
        raise Problem(f"there is no file {path} beside the program; a file that .gitignore names is not taken")
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    if importlib.util.find_spec("openevolve") is None:
        stand_in()
    spec = importlib.util.spec_from_file_location("evaluation_module", os.path.abspath(path))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["evaluation_module"] = module
    spec.loader.exec_module(module)
    function = getattr(module, name or "evaluate", None)
    if not callable(function):
        raise Problem(f"{path} has no function {name or 'evaluate'}()")
    return function  # type: ignore[no-any-return]


@dataclass
class EvaluationResult:
    """What an evaluator for OpenEvolve may return, for a machine that has no OpenEvolve."""

    metrics: dict[str, Any]
    artifacts: dict[str, Any] = field(default_factory=dict)


def stand_in() -> None:
    package, module = ModuleType("openevolve"), ModuleType("openevolve.evaluation_result")
    package.__path__ = []
    setattr(module, "EvaluationResult", EvaluationResult)  # noqa: B010 - a module's type knows no such name
    sys.modules |= {"openevolve": package, "openevolve.evaluation_result": module}


def candidate(programs: Sequence[str]) -> str | dict[str, str]:
    """The text of the one file, or the texts of several by the names of their files, without their endings."""
    texts = {Path(path).stem: Path(path).read_text(encoding="utf-8") for path in programs if os.path.exists(path)}
    if not texts:
        raise Problem(f"there is no file {' or '.join(programs)}")
    if len(programs) == 1:
        return next(iter(texts.values()))
    if len({Path(path).stem for path in programs}) < len(programs):
        raise Problem(f"{', '.join(programs)}: the names of the files, without their endings, must differ")
    return texts


def of_gepa(function: Callable[..., Any], text: str | dict[str, str], metric: str) -> tuple[dict[str, Any], Any]:
    """Call `evaluate(candidate)`, and collect what it says by `oa.log` where GEPA is installed."""
    settings: dict[str, Any] = {}
    parameters = list(inspect.signature(function).parameters.values())
    for parameter in parameters[1:]:
        if parameter.name == "opt_state":
            settings["opt_state"] = SimpleNamespace(best_example_evals=[])
        elif parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            raise Problem(f"it asks for `{parameter.name}` too, of a dataset: go through the items inside of it")
    launcher: Any = sys.modules.get("gepa.gepa_launcher") or sys.modules.get("gepa.optimize_anything")
    log = launcher.LogContext() if hasattr(launcher, "LogContext") else None
    if log is not None:
        launcher.set_log_context(log)
    values, texts = read_result(function(text, **settings), metric)
    if log is not None and (said := log.drain().strip()):
        texts = {**texts, "log": said}
    return values, texts


def read_result(result: Any, metric: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A number, a map of them, `(either, information)`, or an object with `metrics` and `artifacts`.

    Raises:
        Problem: it is none of these.
    """
    information: Any = None
    if isinstance(result, tuple) and len(result) == 2:
        result, information = result
    elif hasattr(result, "metrics") and hasattr(result, "artifacts"):
        result, information = result.metrics, result.artifacts
    if not isinstance(result, Mapping):
        try:
            result = {metric: float(result)}
        except (TypeError, ValueError):
            raise Problem(f"evaluate() must return a number or a map of numbers, not {type(result).__name__}") from None
    values, texts = parts({name: plain(value) for name, value in result.items()})
    if isinstance(information, Mapping):
        known = {name: plain(value) for name, value in information.items() if name != "scores"}
        scores = information.get("scores")
        more = parts(dict(scores))[0] if isinstance(scores, Mapping) else {}
        values |= {name: plain(value) for name, value in more.items() if name not in values}
        texts |= {str(name): readable(value) for name, value in known.items() if not empty(value)}
    elif information is not None:
        texts["information"] = readable(information)
    return values, texts


def plain(value: Any) -> Any:
    """A number of NumPy or PyTorch as Python's own, and bytes as text."""
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    if not isinstance(value, (str, int, float)) and hasattr(value, "__float__"):
        try:
            return float(value)
        except (TypeError, ValueError, RuntimeError):  # the last of PyTorch, for more than one number
            return value
    return value


def trace(error: BaseException) -> str:
    """The last frames, without our own."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames, limit=-LAST_FRAMES))


def hint(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f" (install it for {sys.executable}, put it into the source folder, or name its folder in verify.read)"
    return ""


if __name__ == "__main__":
    main(sys.argv[1:])
