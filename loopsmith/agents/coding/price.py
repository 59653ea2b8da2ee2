"""What tokens of a program's models cost: by the workflow, or by the list price."""

from collections.abc import Callable
from functools import cache

from loopsmith.agents.coding.meter import Priced
from loopsmith.agents.model import Tokens
from loopsmith.agents.pricing import Pricing, given, listed
from loopsmith.workflow.coding import CliAgent, Entry


def prices(settings: CliAgent, entry: Entry) -> Priced:
    """Dollars for tokens of a model, named as the program names it; None where nobody knows."""
    fixed = given(settings.price) if settings.price is not None else None

    def dollars(tokens: Tokens, model: str) -> float | None:
        cost: Callable[[Tokens], float] | None = fixed or listed_price(entry.provider, model or settings.model or "")
        return None if cost is None else cost(tokens)

    return dollars


@cache
def listed_price(provider: str | None, model: str) -> Pricing | None:
    """The list price of a model that may be written `provider/model`."""
    maker, _, name = model.rpartition("/")
    maker = maker.partition("/")[0] or provider or _maker(name)
    if not name or not maker:
        return None
    try:
        return listed(maker, name, None)
    except LookupError:
        return None


def _maker(model: str) -> str:
    """Who makes a model, where its name says so."""
    makers = {"claude": "anthropic", "gpt": "openai", "gemini": "google", "grok": "x-ai", "deepseek": "deepseek"}
    return makers.get(model.partition("-")[0], "")
