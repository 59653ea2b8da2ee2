"""What a call costs: from the workflow, or from the price list of the genai-prices package (no network)."""

from collections.abc import Callable

from loopsmith.agents.model import Tokens
from loopsmith.errors import WorkflowError
from loopsmith.workflow.agent import Price

MILLION = 1_000_000
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
        return given(price)
    try:
        return listed(kind, model, url)
    except LookupError:
        raise WorkflowError(
            f"the price of {kind} model `{model}` is not known; give it in dollars per million tokens, such as "
            "`agent: {price: {input: 3, cached: 0.3, output: 15}}` (`price: 0` for a model of your own)"
        ) from None


def given(price: Price) -> Pricing:
    """By the workflow's price."""
    cached = price.input if price.cached is None else price.cached

    def cost(tokens: Tokens) -> float:
        fresh = tokens.input - tokens.cached
        return (fresh * price.input + tokens.cached * cached + tokens.output * price.output) / MILLION

    return cost


def listed(kind: str, model: str, url: str | None) -> Pricing:
    """By the list price, with its tiers and cache prices.

    Raises:
        LookupError: the list does not have the model.
    """
    from genai_prices import Usage  # a tenth of a second, which agents without a model need not wait
    from genai_prices.data_snapshot import get_snapshot

    prices, provider = get_snapshot(), kind
    if url is not None:
        try:
            provider = prices.find_provider(None, None, url).id
        except LookupError:
            pass  # a gateway

    def cost(tokens: Tokens) -> float:
        usage = Usage(
            input_tokens=tokens.input,
            cache_read_tokens=tokens.cached,
            cache_write_tokens=tokens.written,
            output_tokens=tokens.output,
        )
        return float(prices.calc(usage, model, provider, None, None).total_price)

    cost(Tokens())  # raises now rather than in the middle of the night
    return cost
