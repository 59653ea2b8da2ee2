"""Who may ask: the Host and Origin of a request, the token, and the headers of every answer."""

import hmac
import ipaddress
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
SAFE = ("GET", "HEAD", "OPTIONS")
SHORTEST = 8  # characters of a token
OPEN = ("/login", "/static/", "/favicon.ico")  # what needs no token

Refuse = Callable[[Request, int, str], Response]


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """What may be done, and by whom.

    Attributes:
        token: what actions need; None: there are none.
        control: whether there are actions.
        private: whether reading needs the token too.
        hosts: the names by which the server may be called; an address of the network is never a trick.
        port: keeps apart the cookies of several servers.
    """

    token: str | None = None
    control: bool = False
    private: bool = False
    hosts: frozenset[str] = field(default_factory=lambda: frozenset({"localhost"}))
    any_address: bool = False
    port: int = 0

    @property
    def cookie(self) -> str:
        return f"loopsmith_{self.port}"

    def pass_for(self, token: str) -> str:
        """What the cookie holds: it does not give the token away."""
        return hmac.new(token.encode(), b"loopsmith serve", sha256).hexdigest()

    def accepts(self, token: str) -> bool:
        return self.token is not None and hmac.compare_digest(token.encode(), self.token.encode())

    def granted(self, request: Request) -> bool:
        """Whether a request shows the token, as `Authorization: Bearer` or by its cookie."""
        if self.token is None:
            return False
        if self.bearer(request):
            return True
        given = request.cookies.get(self.cookie, "")
        return hmac.compare_digest(given.encode(), self.pass_for(self.token).encode())

    def bearer(self, request: Request) -> bool:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.accepts(given.strip())

    def knows(self, host: str) -> bool:
        """Whether a Host header names this server; another name may be a stranger's page that points here."""
        name = name_of(host)
        if name is None:
            return False
        if name in self.hosts:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return self.any_address or address.is_loopback


class Guard:
    """Lets only those requests through that may be answered, and marks every answer."""

    def __init__(self, app: ASGIApp, access: Access, refuse: Refuse):
        self.app, self.access, self.refuse = app, access, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        wrong = self.problem(request)
        await (self.refuse(request, *wrong) if wrong else self.app)(scope, receive, marked)

    def problem(self, request: Request) -> tuple[int, str] | None:
        """Why a request is refused, with its HTTP status."""
        access, headers = self.access, request.headers
        host = headers.get("host", "")
        if not access.knows(host):
            return 403, "this server is not known by that name; open it by the address that it printed"
        site = headers.get("sec-fetch-site", "")
        if site in ("cross-site", "same-site") and not navigates(headers, request.method):
            return 403, "another site's page may not ask this server"
        origin = headers.get("origin")
        # A form of a page without referrer comes from "null"; what a browser says of the site is never a page's word.
        own = origin == "null" and site == "same-origin"
        if origin is not None and not own and not same(origin, host):
            return 403, "another site's page may not ask this server"
        if request.method not in SAFE and origin is None and not site and not access.bearer(request):
            return 403, "a request that changes something must say where it comes from (Origin), or show the token"
        if access.private and not request.url.path.startswith(OPEN) and not access.granted(request):
            return 401, "this server needs its token"
        return None


def navigates(headers: Mapping[str, str], method: str) -> bool:
    """A person follows a link from elsewhere: only what can be read, as a page of its own."""
    return method in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"


def same(origin: str, host: str) -> bool:
    """Whether an Origin is the server's own; the scheme may differ behind a proxy with TLS."""
    try:
        parts = urlsplit(origin)
        return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()
    except ValueError:
        return False


def name_of(host: str) -> str | None:
    """The name in a Host header, without its port; None where it is none."""
    try:
        parts = urlsplit(f"//{host}")
        plain = parts.path == parts.query == parts.fragment == "" and "@" not in host
        return (parts.hostname or None) if plain and (parts.port is None or parts.port >= 0) else None
    except ValueError:
        return None


def names_of(host: str) -> frozenset[str]:
    """The names by which a server that is bound to `host` may be called."""
    own = {host.lower(), "localhost"}
    if not is_loopback(host):
        own |= {socket.gethostname().lower(), socket.getfqdn().lower()}
    return frozenset(own)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
