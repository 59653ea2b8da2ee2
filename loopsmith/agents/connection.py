"""One SDK client for all conversations with a model, closed with the last of them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    def is_closed(self) -> bool: ...

    async def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


class Connection(Generic[C]):
    """A client that lives while somebody uses it.

    Its open connections belong to one event loop, and must be closed before that ends: a second `asyncio.run` would
    stumble over them.
    """

    def __init__(self, make: Callable[[], C]):
        self._make, self._users = make, 0
        self.client = make()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[C]:
        if self.client.is_closed():
            self.client = self._make()
        self._users += 1
        try:
            yield self.client
        finally:
            self._users -= 1
            if not self._users:
                await self.client.close()
