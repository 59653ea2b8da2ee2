"""What `loopsmith init` finds out by itself about the folder that a template is fitted to."""

import os
import re
import shlex
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from loopsmith.library.run import DEFAULT_MODELS
from loopsmith.workflow import editable_matcher

LANGUAGES = {
    "Python": (".py",),
    "C": (".c", ".h"),
    "C++": (".cpp", ".cc", ".cxx", ".hpp", ".h"),
    "CUDA": (".cu", ".cuh"),
    "Rust": (".rs",),
    "Go": (".go",),
    "JavaScript": (".js", ".mjs", ".cjs", ".jsx"),
    "TypeScript": (".ts", ".tsx"),
    "Java": (".java",),
    "Ruby": (".rb",),
    "PHP": (".php",),
    "Shell": (".sh",),
}
NOT_SOURCE = (
    *("test_*", "*_test.*", "*.test.*", "*.spec.*", "conftest.py", "tests/", "test/", "spec/", "testdata/"),
    *("docs/", "examples/", "setup.py", "noxfile.py", "*.config.*", "golden/", "hidden/"),
)
LISTED = 5  # source files up to which each is named
# A program and its subcommand, and the file that says that a project is built and tested with them.
TESTED_BY = {
    "Cargo.toml": "cargo test",
    "go.mod": "go test -v ./...",
    "package.json": "npm test",
    "pom.xml": "mvn -q test",
    "Gemfile": "bundle exec rspec",
}
PROGRAMS = {"claude": "cli", "codex": "cli"}
KEYS = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY"}

Answers = Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Attributes:
        folder: absolute.
        files: what a campaign would see: not ignored by git.
    """

    folder: Path
    files: tuple[str, ...]

    @property
    def language(self) -> str | None:
        """The one that most files are written in, tests aside."""
        count = Counter(language for path in self.sources(None) for language in languages_of(path))
        return count.most_common(1)[0][0] if count else None

    def sources(self, language: str | None) -> list[str]:
        """The files of the program in one language, or in any."""
        aside = editable_matcher(NOT_SOURCE)
        wanted = {end for name, ends in LANGUAGES.items() if language in (None, name) for end in ends}
        return [path for path in self.files if PurePosixPath(path).suffix in wanted and not aside(path)]

    def has(self, name: str) -> bool:
        return (self.folder / name).exists()

    def text(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(errors="replace") if path.is_file() else ""

    @property
    def python(self) -> str:
        """The interpreter of the project: its own environment's, where it has one."""
        local = (f"{name}/bin/python" for name in (".venv", "venv"))
        return next((path for path in local if self.has(path)), "python3" if shutil.which("python3") else "python")

    @property
    def pytest(self) -> bool:
        """Whether its tests are pytest's: by its settings, or by names of files."""
        named = editable_matcher(["conftest.py", "test_*.py", "*_test.py", "pytest.ini"])
        settings = self.text("pyproject.toml") + self.text("setup.cfg") + self.text("tox.ini")
        return any(map(named, self.files)) or bool(re.search(r"(?m)^\[(tool[.:])?pytest", settings))


def languages_of(path: str) -> list[str]:
    end = PurePosixPath(path).suffix
    return [name for name, ends in LANGUAGES.items() if end in ends]


def sources(found: Found, answers: Answers) -> tuple[str, ...] | None:
    """The program's own files: each, or by folder where there are many; tests, settings and documents are left out."""
    files = found.sources(found.language)
    named = [path for path in files if path in command_words(answers)]
    if named and len(files) > LISTED:
        return tuple(named)
    if len(files) <= LISTED:
        return tuple(files) or None
    ends = sorted({PurePosixPath(path).suffix for path in files})
    folders = sorted({path.split("/")[0] for path in files if "/" in path})
    patterns = [path for path in files if "/" not in path]
    patterns += [f"/{folder}/**/*{end}" for folder in folders for end in ends]
    chosen, wanted = editable_matcher(patterns), set(files)
    extra = [path for path in found.files if chosen(path) and path not in wanted]
    return (*patterns, *(f"!{rule}" for rule in NOT_SOURCE if any(map(editable_matcher([rule]), extra))))


def command_words(answers: Answers) -> list[str]:
    command = answers.get("command", "")
    try:
        return [str(PurePosixPath(word)) for word in shlex.split(command)] if isinstance(command, str) else []
    except ValueError:
        return []


def program(found: Found, answers: Answers) -> str | None:
    """How the program is started, where that is plain."""
    if found.has("Cargo.toml") and found.has("src/main.rs"):
        return "cargo run --quiet --release"
    if found.has("go.mod") and found.has("main.go"):
        return "go run ."
    scripts = [path for path in found.sources("Python") if "__main__" in found.text(path) or "/" not in path]
    main = [path for path in scripts if PurePosixPath(path).name in ("main.py", "__main__.py", "app.py", "cli.py")]
    return f"{found.python} {(main or scripts)[0]}" if len(main or scripts) == 1 else None


def experiment(found: Found, answers: Answers) -> str | None:
    """The command that prints the score."""
    names = ("evaluate.py", "eval.py", "verify.py", "train.py")
    return next((f"{found.python} {name}" for name in names if name in found.files), None)


def tests(found: Found, answers: Answers) -> str | None:
    """The command of the tests."""
    if found.pytest:
        return f"{found.python} -m pytest"
    by_file = next((command for name, command in TESTED_BY.items() if found.has(name)), None)
    return by_file or ("make test" if re.search(r"(?m)^test:", found.text("Makefile")) else None)


def build(found: Found, answers: Answers) -> str | None:
    """The command that makes what is shipped; an empty one where there is nothing to build."""
    if '"build"' in found.text("package.json"):
        return "npm run build"
    if found.has("Cargo.toml"):
        return "cargo build --quiet --release"
    return "make" if found.has("Makefile") else "true"


def artifact(found: Found, answers: Answers) -> str | None:
    """The folder that builds are written to."""
    return next((f"{name}/" for name in ("dist", "build", "out") if (found.folder / name).is_dir()), None)


def prompt(found: Found, answers: Answers) -> str | None:
    """The one file that looks like a prompt."""
    like = editable_matcher(["*prompt*.md", "*prompt*.txt", "*.prompt", "prompts/"])
    files = tuple(filter(like, found.files))
    return files[0] if len(files) == 1 else None


def training(found: Found, answers: Answers) -> tuple[str, ...] | None:
    """The file that trains, where another one scores it."""
    files = tuple(path for path in found.files if PurePosixPath(path).name in ("train.py", "training.py"))
    return files if files and not set(files) & set(command_words(answers)) else None


def cases(found: Found, answers: Answers) -> str | None:
    files = [path for path in found.files if path.endswith(".jsonl")]
    return files[0] if len(files) == 1 else None


def price(found: Found, answers: Answers) -> str:
    """A model on this machine costs nothing; others are looked up."""
    return "0" if re.search(r"//(localhost|127\.|\[::1\])", str(answers.get("base-url"))) else "known"


def agent(found: Found, answers: Answers) -> str | None:
    """Who can work here: a provider whose key is set, a coding agent that is installed."""
    for kind, variable in KEYS.items():
        if os.environ.get(variable):
            return f"{kind}:{DEFAULT_MODELS[kind]}"
    return next((f"{kind}:{name}" for name, kind in PROGRAMS.items() if shutil.which(name)), None)


def needed(found: Found, commands: list[str]) -> tuple[str, ...]:
    """What the commands use and git ignores, so that a campaign must be given it as a link."""
    used = set()
    for command in commands:
        try:
            words = shlex.split(command)
        except ValueError:
            words = command.split()
        used |= {part for word in words if not word.startswith(("/", "-")) for part in PurePosixPath(word).parts[:1]}
        if words and words[0] in ("npm", "npx", "node", "yarn", "pnpm"):
            used.add("node_modules")
    seen = {path.split("/")[0] for path in found.files}
    return tuple(sorted(name for name in used - seen - {"..", ".git"} if found.has(name)))


GUESSES: dict[str, Callable[[Found, Answers], str | tuple[str, ...] | None]] = {
    "agent": agent,
    "artifact": artifact,
    "build": build,
    "cases": cases,
    "experiment": experiment,
    "price": price,
    "program": program,
    "prompt": prompt,
    "sources": sources,
    "tests": tests,
    "training": training,
}
