"""What a call costs: from the workflow, or from the price list of the genai-prices package (no network)."""

from collections.abc import Callable

from loopsmith.agents.model import Tokens
from loopsmith.errors import WorkflowError
from loopsmith.workflow.agent import Price

MILLION = 1_000_000
ANTHROPIC_WRITES = 1.25  # of a fresh token's price, for one written to Anthropic's cache for five minutes
Pricing = Callable[[Tokens], float]  # dollars for one call


def pricing(kind: str, model: str, *, url: str | None, price: Price | None) -> Pricing:
    """How to price calls of a model.

    Args:
        kind: anthropic or openai.
        url: the endpoint, if it is not the provider's own. A list price of the endpoint's host comes first; an
            unknown host is taken for a gateway to the provider, at the provider's list price.
        price: from the workflow; it wins.

    Raises:
        WorkflowError: nobody knows the price, so that no limit of money could hold.
    """
    if price is not None:
        return given(price, written=ANTHROPIC_WRITES if kind == "anthropic" else 1.0)
    try:
        return listed(kind, model, url)
    except LookupError:
        raise WorkflowError(
            f"the price of {kind} model `{model}` is not known; give it in dollars per million tokens, such as "
            "`agent: {price: {input: 3, cached: 0.3, output: 15}}` (`price: 0` for a model of your own)"
        ) from None


def given(price: Price, *, written: float = 1.0) -> Pricing:
    """By the workflow's price.

    Args:
        written: what a token written to the cache costs where the price does not say, as a multiple of a fresh one.
    """
    read = price.input if price.cached is None else price.cached
    write = price.input * written if price.written is None else price.written

    def cost(tokens: Tokens) -> float:
        cached, written = parts(tokens)
        fresh = tokens.input - cached - written
        prompt = fresh * price.input + cached * read + written * write
        return (prompt + tokens.output * price.output) / MILLION

    return cost


def listed(kind: str, model: str, url: str | None) -> Pricing:
    """By the list price, with its tiers and cache prices.

    Raises:
        LookupError: the list does not have the model.
    """
    from genai_prices import Usage  # a tenth of a second, which agents without a model need not wait
    from genai_prices.data_snapshot import get_snapshot

    prices, provider = get_snapshot(), _provider(kind, url)

    def cost(tokens: Tokens) -> float:
        cached, written = parts(tokens)
        usage = Usage(
            input_tokens=tokens.input,
            cache_read_tokens=cached,
            cache_write_tokens=written,
            output_tokens=tokens.output,
        )
        return float(prices.calc(usage, model, provider, None, None).total_price)

    cost(Tokens())  # raises now rather than in the middle of the night
    return cost


def parts(tokens: Tokens) -> tuple[int, int]:
    """The cached and the written ones among the input tokens; some endpoints count more of them than of all."""
    cached = min(tokens.cached, tokens.input)
    return cached, min(tokens.written, tokens.input - cached)


def listed_context(kind: str, model: str, url: str | None) -> int | None:
    """The tokens of a model's context by the price list; None where it does not say."""
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, found = get_snapshot().find_provider_model(model, None, _provider(kind, url), None)
    except LookupError:
        return None
    return found.context_window


def _provider(kind: str, url: str | None) -> str:
    """The list's name of the provider at an endpoint; an unknown host is a gateway to the provider itself."""
    from genai_prices.data_snapshot import get_snapshot

    try:
        return kind if url is None else get_snapshot().find_provider(None, None, url).id
    except LookupError:
        return kind
