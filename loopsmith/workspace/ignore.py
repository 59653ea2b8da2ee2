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
    """Which paths are left out. Ask from the top down, and do not look into a folder that is ignored.

    Args:
        lines: patterns that hold everywhere, after those for caches, unless a `.gitignore` says otherwise.
    """

    def __init__(self, lines: Iterable[str] = ()):
        self._everywhere = compile_rules((*CACHES, *lines))
        self._by_folder: dict[str, GitIgnoreSpec] = {}

    def add(self, folder: str, content: bytes) -> None:
        """Add the `.gitignore` of a folder: "" for the root, else with a slash at its end."""
        self._by_folder[folder] = compile_rules(content.decode("utf-8", "surrogateescape").splitlines())

    def matches(self, path: str, *, folder: bool = False) -> bool:
        """Whether the deepest rule file that speaks of `path` ignores it."""
        asked = path + "/" if folder else path
        cut = len(path)
        while cut > 0:
            cut = path.rfind("/", 0, cut) + 1
            spec = self._by_folder.get(path[:cut])
            if spec is not None:
                verdict = spec.check_file(asked[cut:]).include
                if verdict is not None:
                    return verdict
            cut -= 1
        return self._everywhere.match_file(asked)
