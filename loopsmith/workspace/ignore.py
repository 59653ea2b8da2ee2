"""The rules of `.gitignore` files, nested ones honoured."""

from collections.abc import Iterable

from pathspec import GitIgnoreSpec

# Left behind by running Python; never a source, so no workflow has to list them.
CACHES = ("__pycache__/", "*.py[co]", ".pytest_cache/", ".mypy_cache/", ".ruff_cache/", ".DS_Store")


def compile_rules(lines: Iterable[str]) -> GitIgnoreSpec:
    """A matcher for gitignore lines. A line that is no pattern is passed over, as git does."""
    rules = list(lines)
    try:
        return GitIgnoreSpec.from_lines(rules)
    except ValueError:
        return GitIgnoreSpec.from_lines(line for line in rules if is_pattern(line))


def is_pattern(line: str) -> bool:
    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True


class Ignore:
    """Which paths of a source folder are left out.

    Ask from the top down, and do not look into a folder that is ignored.

    Args:
        lines: patterns that hold everywhere, after those for caches, unless a `.gitignore` says otherwise.
        prefix: where the source folder stands in the work tree whose rules hold: "" or with a slash at its end.
    """

    def __init__(self, lines: Iterable[str] = (), prefix: str = ""):
        self.prefix = prefix
        self._everywhere = compile_rules((*CACHES, *lines))
        self._by_folder: dict[str, GitIgnoreSpec] = {}

    def copy(self) -> "Ignore":
        other = Ignore(prefix=self.prefix)
        other._everywhere, other._by_folder = self._everywhere, dict(self._by_folder)
        return other

    def add(self, folder: str, content: bytes) -> None:
        """Add the `.gitignore` of a folder of the source: "" for its root, else with a slash at its end."""
        self.add_above(self.prefix + folder, content)

    def add_above(self, folder: str, content: bytes) -> None:
        """As `add`, for a folder of the work tree."""
        self._by_folder[folder] = compile_rules(content.decode("utf-8", "surrogateescape").splitlines())

    def matches(self, path: str, *, folder: bool = False) -> bool:
        """Whether the deepest rule file that speaks of a path of the source ignores it."""
        path = self.prefix + path
        asked = path + "/" if folder else path
        end = len(path)
        while end >= 0:
            start = path.rfind("/", 0, end) + 1
            spec = self._by_folder.get(path[:start])
            verdict = None if spec is None else spec.check_file(asked[start:]).include
            if verdict is not None:
                return verdict
            end = start - 1
        return self._everywhere.match_file(asked)
