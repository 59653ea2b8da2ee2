"""What tokens of a program's models cost: by the workflow, or by the list price."""

from functools import cache

from loopsmith.agents.coding.meter import Priced
from loopsmith.agents.model import Tokens
from loopsmith.agents.pricing import Pricing, listed, pricing
from loopsmith.workflow.coding import CliAgent, Entry


def prices(settings: CliAgent, entry: Entry) -> Priced:
    """Dollars for tokens of a model, named as the program names it; None where nobody knows."""

    def dollars(tokens: Tokens, model: str) -> float | None:
        used = model or settings.model or ""
        if settings.price is not None:
            return pricing(maker_and_name(entry.provider, used)[0], used, url=None, price=settings.price)(tokens)
        cost = listed_price(entry.provider, used)
        return None if cost is None else cost(tokens)

    return dollars


@cache
def listed_price(provider: str | None, model: str) -> Pricing | None:
    """The list price of a model that may be written `provider/model`."""
    maker, name = maker_and_name(provider, model)
    if not name or not maker:
        return None
    try:
        return listed(maker, name, None)
    except LookupError:
        return None


def maker_and_name(provider: str | None, model: str) -> tuple[str, str]:
    maker, _, name = model.rpartition("/")
    return maker.partition("/")[0] or provider or _maker(name), name


def _maker(model: str) -> str:
    """Who makes a model, where its name says so."""
    makers = {"claude": "anthropic", "gpt": "openai", "gemini": "google", "grok": "x-ai", "deepseek": "deepseek"}
    return makers.get(model.partition("-")[0], "")
