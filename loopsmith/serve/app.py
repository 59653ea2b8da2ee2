"""The routes: addresses to pages, operations of the API, news and actions, behind the guard."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qsl

import anyio.to_thread
from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from loopsmith.errors import LoopsmithError, TrackerError, UsageError, WorkflowError
from loopsmith.live import RequestKind, RequestStatus
from loopsmith.report.figure import STYLE
from loopsmith.serve import metrics
from loopsmith.serve.answers import Problem
from loopsmith.serve.api import OPERATIONS, ROOT, Operation, answered, body_of
from loopsmith.serve.control import ACTIONS, ask_for, data_of
from loopsmith.serve.openapi import description
from loopsmith.serve.pages import Pages
from loopsmith.serve.security import Guard
from loopsmith.serve.site import Site

STATIC = Path(__file__).parent / "static"
PROBLEM = TypeAdapter(Problem)
Endpoint = Callable[[Request], Awaitable[Response]]


def application(site: Site) -> Starlette:
    """The server's application."""
    pages = Pages(site)

    def refuse(request: Request, status: int, message: str) -> Response:
        return problem(pages, request, status, message)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        looking = asyncio.create_task(site.watch.run())
        site.warm(pages.warm)
        try:
            yield
        finally:
            site.watch.end()
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking
            site.close()

    async def failed(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            return problem(pages, request, error.status_code, error.detail)
        return await anyio.to_thread.run_sync(lambda: problem(pages, request, code_of(request, error), str(error)))

    async def broken(request: Request, error: Exception) -> Response:
        logging.getLogger("loopsmith.serve").error("%s %s failed", request.method, request.url.path, exc_info=error)
        return problem(pages, request, 500, "loopsmith itself failed here; its terminal shows where")

    return Starlette(
        routes=[*page_routes(site, pages), *api_routes(site), *action_routes(site, pages), *other_routes(site)],
        middleware=[Middleware(Guard, access=site.access, refuse=refuse)],
        exception_handlers={HTTPException: failed, LoopsmithError: failed, Exception: broken},
        lifespan=lifespan,
    )


def page_routes(site: Site, pages: Pages) -> list[BaseRoute]:
    one, candidate = "/c/{campaign}", "/c/{campaign}/{candidate}"
    table: dict[str, Callable[[Request], Response]] = {
        "/": pages.campaigns,
        one: pages.campaign,
        f"{one}/candidates": pages.candidates,
        f"{one}/compare": pages.compare,
        f"{one}/memory": pages.memory,
        f"{one}/events": pages.events,
        candidate: pages.candidate,
        f"{candidate}/show.txt": pages.show,
        f"{candidate}/patch.diff": pages.patch,
        f"{candidate}/transcript.txt": pages.transcript,
        f"{candidate}/files/{{index:int}}": pages.file,
    }
    return [Route(path, page(site, make), methods=["GET"]) for path, make in table.items()]


def page(site: Site, make: Callable[[Request], Response]) -> Endpoint:
    """A page, made in a thread, with the version of what it shows from before it was read."""

    async def endpoint(request: Request) -> Response:
        def made() -> Response:
            topic = request.path_params.get("campaign", "")
            with suppress(UsageError):  # the page itself says that there is none
                request.state.version = site.version(topic)
            return make(request)

        return await anyio.to_thread.run_sync(made)

    return endpoint


def api_routes(site: Site) -> list[BaseRoute]:
    def endpoint(operation: Operation) -> Endpoint:
        async def answer(request: Request) -> Response:
            return await answered(site, operation, request)

        return answer

    async def described(_request: Request) -> Response:
        return JSONResponse(description())

    routes = [Route(item.path, endpoint(item), methods=[item.method], name=item.name) for item in OPERATIONS]
    return [*routes, Route(f"{ROOT}/openapi.json", described, methods=["GET"])]


def action_routes(site: Site, pages: Pages) -> list[BaseRoute]:
    access = site.access

    async def ask(request: Request) -> Response:
        if not access.control:
            raise HTTPException(403, "this server only shows; start it with --allow-control to act")
        if not access.granted(request):
            raise HTTPException(401, "acting needs the token")
        form = await form_of(request)
        if form.get("kind") not in ACTIONS:
            raise HTTPException(400, "there is no such action")
        kind = RequestKind(form["kind"])

        def asked() -> Response:
            campaign = site.campaign(request.path_params["campaign"])
            try:
                found, said = ask_for(site.source, campaign, kind, data_of(kind, form))
            except (UsageError, WorkflowError) as error:
                return pages.render(request, "asked.html", status=409, campaign=campaign, message=str(error))
            if found.status is RequestStatus.REFUSED:
                return pages.render(request, "asked.html", status=409, campaign=campaign, message=said)
            return RedirectResponse(f"{request.url.path.removesuffix('/ask')}#request-{found.id}", 303)

        return await anyio.to_thread.run_sync(asked)

    async def login(request: Request) -> Response:
        if access.token is None:
            raise HTTPException(404, "this server has no token")
        if request.method == "GET":
            return pages.render(request, "login.html", next=local(request.query_params.get("next", "")), wrong="")
        form = await form_of(request)
        if not access.accepts(form.get("token", "").strip()):
            values = {"next": local(form.get("next", "")), "wrong": "That is not the token of this server."}
            return pages.render(request, "login.html", status=401, **values)
        answer = RedirectResponse(local(form.get("next", "")), 303)
        answer.set_cookie(access.cookie, access.pass_for(access.token), httponly=True, samesite="strict", path="/")
        return answer

    async def logout(_request: Request) -> Response:
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(access.cookie, httponly=True, samesite="strict", path="/")
        return answer

    return [
        Route("/c/{campaign}/ask", ask, methods=["POST"]),
        Route("/login", login, methods=["GET", "POST"]),
        Route("/logout", logout, methods=["POST"]),
    ]


def other_routes(site: Site) -> list[BaseRoute]:
    style = (STATIC / "style.css").read_text() + STYLE

    async def live(request: Request) -> Response:
        news = site.watch.follow(request.query_params.get("topic", "")[:200])
        return StreamingResponse(news, media_type="text/event-stream")

    async def exposed(_request: Request) -> Response:
        text = await anyio.to_thread.run_sync(lambda: metrics.exposition(site))
        return PlainTextResponse(text, media_type=metrics.MEDIA)

    async def styled(_request: Request) -> Response:
        return PlainTextResponse(style, media_type="text/css")

    return [
        Route("/live", live, methods=["GET"]),
        Route("/metrics", exposed, methods=["GET"]),
        Route("/static/style.css", styled, methods=["GET"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]


def code_of(request: Request, error: Exception) -> int:
    """The HTTP status of an error."""
    if isinstance(error, TrackerError):
        return 503
    if isinstance(error, UsageError):
        return 404 if request.method == "GET" else 409
    return 400 if isinstance(error, WorkflowError) else 500


def problem(pages: Pages, request: Request, status: int, message: str) -> Response:
    """What went wrong: as problem details for programs, else as a page."""
    if request.url.path.startswith((ROOT, "/metrics", "/live")):
        title = HTTPStatus(status).phrase
        data = PROBLEM.dump_json(Problem(type="about:blank", title=title, status=status, detail=message))
        headers = {"www-authenticate": "Bearer"} if status == 401 else {"retry-after": "2"} if status == 503 else {}
        return Response(data, status, headers, "application/problem+json")
    return pages.problem(request, status, message)


async def form_of(request: Request) -> dict[str, str]:
    """A form as a browser sends it; the last of each name."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415, "send a form")
    return dict(parse_qsl((await body_of(request)).decode("utf-8", "replace"), keep_blank_values=True))


def local(address: str) -> str:
    """An address of this server; of anything else the list of campaigns."""
    fine = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if fine and "\\" not in address else "/"
