"""What in an agent's login is a secret, so that no transcript shows it."""

import json
import re
from collections.abc import Iterator
from typing import Any

NAMES = re.compile(r"(?i)key|token|secret|password|^access$|^refresh$")


def secrets_in(text: str) -> Iterator[str]:
    """The texts under names of secrets, where a variable or a file holds JSON.

    Variables whose own names sound secret are registered by `log.register_environment`.
    """
    try:
        yield from leaves("", json.loads(text))
    except (ValueError, RecursionError):
        return


def leaves(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner, item in value.items():
            yield from leaves(str(inner), item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(name, item)
    elif isinstance(value, str) and NAMES.search(name):
        yield value
