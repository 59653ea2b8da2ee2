"""The server itself: bound before anything is said, ended at once."""

import asyncio
import errno
import secrets
import socket
from pathlib import Path
from types import FrameType

import uvicorn

from loopsmith.errors import UsageError
from loopsmith.log import register_secret
from loopsmith.serve.app import application
from loopsmith.serve.security import SHORTEST, Access, is_loopback, names_of
from loopsmith.serve.site import Site

PATIENCE = 1  # seconds that answers under way have at the end


class Server(uvicorn.Server):
    """Ends its streams with itself, and its signals are no error."""

    def __init__(self, site: Site):
        config = uvicorn.Config(
            application(site),
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            timeout_graceful_shutdown=PATIENCE,
        )
        super().__init__(config)
        self.site = site

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True
        self.site.watch.end()


def run(site: Site, listening: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    asyncio.run(Server(site).serve(sockets=[listening]))


def listen(host: str, port: int) -> socket.socket:
    """A socket that connections can be made to.

    Raises:
        UsageError: the port is taken, or the host is none of this machine's.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"--host {host} is no address of this machine; leave it out for 127.0.0.1") from error
    family, kind, protocol, _, address = sorted(found, key=lambda item: item[0] is not socket.AF_INET)[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(128)
    except OSError as error:
        made.close()
        raise UsageError(refused(error, host, port)) from error
    return made


def refused(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken; give another with --port, or --port 0 for any that is free"
    if error.errno == errno.EACCES:
        return f"port {port} is not for everybody; give one above 1023 with --port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host {host} is no address of this machine; leave it out for 127.0.0.1"
    return f"cannot listen on {host} port {port}: {(error.strerror or str(error)).lower()}"


def access_for(host: str, port: int, *, control: bool, given: str | None, private: bool = False) -> Access:
    """Who may ask what of a server that is bound to `host`.

    Args:
        given: the token; None: one is made where it is needed.
        private: reading needs the token too.

    Raises:
        UsageError: others could reach it and there is no token.
    """
    reached = not is_loopback(host)
    if reached and given is None:
        raise UsageError(
            f"--host {host} lets others reach this page, so it needs a token: put one into a file and give "
            "--token-file PATH, or set LOOPSMITH_TOKEN"
        )
    token = given or (secrets.token_urlsafe(24) if control or private else None)
    if token is not None:
        register_secret(token)
    return Access(
        token=token, control=control, private=private or reached, hosts=names_of(host), any_address=reached, port=port
    )


def read_token(file: Path | None, variable: str | None) -> str | None:
    """The token of a file, or else of the environment.

    Raises:
        UsageError: the file cannot be read, or a token is too short.
    """
    if file is None and not variable:
        return None
    where = f"--token-file {file}" if file else "LOOPSMITH_TOKEN"
    try:
        token = (file.expanduser().read_text() if file else variable or "").strip()
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"--token-file {file} cannot be read: {(reason or str(error)).lower()}") from error
    if len(token) < SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(f"the token of {where} needs {SHORTEST} letters, digits or signs at least, without spaces")
    return token
