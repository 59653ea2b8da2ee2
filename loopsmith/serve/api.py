"""The JSON API: a table of operations, from which come the routes, the answers and the description (OpenAPI 3.1)."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from loopsmith.errors import LoopsmithError, UsageError
from loopsmith.lessons import Lesson
from loopsmith.live import Activity, Page
from loopsmith.live import Request as Asking
from loopsmith.records import Campaign, Event
from loopsmith.report.progress.curve import Curve, curve
from loopsmith.serve import answers
from loopsmith.serve.control import ask_for
from loopsmith.serve.known import Known, known
from loopsmith.serve.site import Site

ROOT = "/api/v1"
ONE = f"{ROOT}/campaigns/{{campaign}}"
BATCH = 500  # events of the stream that are sent together
BODY = 64 * 1024  # bytes of a request


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One request, read."""

    site: Site
    parts: dict[str, Any]
    query: Any
    body: Any

    @property
    def campaign(self) -> Campaign:
        return self.site.campaign(self.parts["campaign"])


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """What can be asked at an address.

    Attributes:
        answer: the type of the answer; None: a text of `media`.
        query: the parameters; None: there are none.
        body: what is sent; None: nothing.
    """

    name: str
    path: str
    summary: str
    handle: Callable[[Call], Any]
    answer: Any = None
    media: str = "application/json"
    method: str = "GET"
    status: int = 200
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None


def campaigns(call: Call) -> tuple[answers.CampaignEntry, ...]:
    return tuple(entry(call.site, campaign) for campaign in call.site.source.store().campaigns())


def entry(site: Site, campaign: Campaign) -> answers.CampaignEntry:
    view = site.status(campaign)
    return answers.CampaignEntry(
        id=campaign.id,
        name=campaign.name,
        status=view["campaign"]["status"],
        stop_reason=campaign.stop_reason,
        metric=view["objective"]["metric"],
        direction=view["objective"]["direction"],
        candidates=view["counts"]["candidates"],
        kept=view["counts"]["kept"],
        workflow=campaign.workflow_path,
        created_at=campaign.created_at,
        updated_at=campaign.updated_at,
    )


def status(call: Call) -> answers.CampaignStatus:
    return answers.CampaignStatus.model_validate(call.site.status(call.campaign))


def candidates(call: Call) -> Page:
    asked: answers.CandidatesQuery = call.query
    return call.site.source.store().browse(
        call.campaign.id,
        statuses=asked.status,
        search=asked.search,
        sort=asked.sort,
        descending=asked.order == "down",
        limit=asked.limit,
        offset=asked.offset,
    )


def candidate(call: Call) -> Known:
    return known(call.site.source, call.campaign.id, call.parts["candidate"])


def events(call: Call) -> answers.Events:
    asked: answers.EventsQuery = call.query
    rows = call.site.source.store().events(call.campaign.id, after=asked.after, limit=asked.limit, name=asked.name)
    return answers.Events(rows=rows, after=rows[-1].id if rows else asked.after)


def stream(call: Call) -> AsyncIterator[str]:
    """Every event as a server-sent event, its id the event's, so that a client goes on where it was cut off."""
    campaign, after = call.campaign, call.query.after
    if after is None:
        newest = call.site.source.store().events(campaign.id, limit=1, newest_first=True)
        after = newest[0].id if newest else 0
    return follow(call.site, campaign.id, after)


async def follow(site: Site, campaign_id: str, after: int) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    waited = 0.0
    while not site.watch.ended:
        try:
            rows = await anyio.to_thread.run_sync(after_id, site, campaign_id, after)
        except LoopsmithError:
            rows = ()  # it comes back, or the reader leaves
        if rows:
            after, waited = rows[-1].id, 0.0
            yield "".join(f"id: {row.id}\nevent: event\ndata: {EVENT.dump_json(row).decode()}\n\n" for row in rows)
        if len(rows) < BATCH:
            await site.watch.pause()
            waited += 1
            if waited >= 15:
                waited = 0.0
                yield ": still here\n\n"


def after_id(site: Site, campaign_id: str, after: int) -> tuple[Event, ...]:
    return site.source.store().events(campaign_id, after=after, limit=BATCH)


def progress(call: Call) -> Curve:
    return curve(call.site.source.store(), call.campaign, limit=call.query.limit)


def activity(call: Call) -> tuple[Activity, ...]:
    campaign = call.campaign
    return call.site.source.store().activity(campaign.id) if call.site.source.process(campaign) is not None else ()


def lessons(call: Call) -> tuple[Lesson, ...]:
    return call.site.source.store().lessons(call.campaign.id, retired=call.query.retired)


def requests(call: Call) -> tuple[Asking, ...]:
    return call.site.source.store().requests(call.campaign.id, limit=call.query.limit, newest_first=True)


def one_request(call: Call) -> Asking:
    number = int(call.parts["request"])
    if number >= 2**63:  # a database takes none
        raise UsageError(f"there is no request {number} of this campaign")
    found = call.site.source.store().request(number)
    if found.campaign_id != call.campaign.id:
        raise UsageError(f"there is no request {found.id} of this campaign")
    return found


def ask(call: Call) -> answers.Asked:
    wish: answers.Wish = call.body
    request, said = ask_for(call.site.source, call.campaign, wish.kind, wish.data)
    return answers.Asked(request=request, said=said)


EVENT = TypeAdapter(Event)
OPERATIONS = (
    Operation(
        name="campaigns",
        path=f"{ROOT}/campaigns",
        summary="Every campaign, newest first.",
        handle=campaigns,
        answer=tuple[answers.CampaignEntry, ...],
    ),
    Operation(
        name="status",
        path=f"{ONE}/status",
        summary="Where a campaign stands.",
        handle=status,
        answer=answers.CampaignStatus,
    ),
    Operation(
        name="candidates",
        path=f"{ONE}/candidates",
        summary="A page of candidates, filtered and sorted.",
        handle=candidates,
        answer=Page,
        query=answers.CandidatesQuery,
    ),
    Operation(
        name="candidate",
        path=f"{ONE}/candidates/{{candidate}}",
        summary="All that is known of one, by its number, id or commit.",
        handle=candidate,
        answer=Known,
    ),
    Operation(
        name="events",
        path=f"{ONE}/events",
        summary="Events in order.",
        handle=events,
        answer=answers.Events,
        query=answers.EventsQuery,
    ),
    Operation(
        name="stream",
        path=f"{ONE}/events/stream",
        summary="Events as they happen, as server-sent events; each one's data is an Event.",
        handle=stream,
        media="text/event-stream",
        query=answers.StreamQuery,
    ),
    Operation(
        name="curve",
        path=f"{ONE}/curve",
        summary="The progress curve.",
        handle=progress,
        answer=Curve,
        query=answers.CurveQuery,
    ),
    Operation(
        name="activity",
        path=f"{ONE}/activity",
        summary="What goes on now.",
        handle=activity,
        answer=tuple[Activity, ...],
    ),
    Operation(
        name="lessons",
        path=f"{ONE}/lessons",
        summary="What was learned, with its evidence.",
        handle=lessons,
        answer=tuple[Lesson, ...],
        query=answers.LessonsQuery,
    ),
    Operation(
        name="requests",
        path=f"{ONE}/requests",
        summary="What persons asked of a campaign, newest first.",
        handle=requests,
        answer=tuple[Asking, ...],
        query=answers.RequestsQuery,
    ),
    Operation(
        name="ask",
        path=f"{ONE}/requests",
        summary="Stop, pause, resume, steer, set, approve or reject; needs --allow-control and the token.",
        handle=ask,
        answer=answers.Asked,
        method="POST",
        status=202,
        body=answers.Wish,
    ),
    Operation(
        name="request",
        path=f"{ONE}/requests/{{request:int}}",
        summary="What became of a request.",
        handle=one_request,
        answer=Asking,
    ),
)
ADAPTERS: dict[str, TypeAdapter[Any]] = {item.name: TypeAdapter(item.answer) for item in OPERATIONS if item.answer}


async def answered(site: Site, operation: Operation, request: Request) -> Response:
    """The response to a request for an operation."""
    if operation.method != "GET":
        if not site.access.control:
            raise HTTPException(403, "this server only shows; start it with --allow-control to act")
        if not site.access.granted(request):
            raise HTTPException(401, "acting needs the token: Authorization: Bearer TOKEN")
    call = Call(
        site=site,
        parts=dict(request.path_params),
        query=asked_for(operation, request) if operation.query else None,
        body=await sent(operation.body, request) if operation.body else None,
    )
    made = await anyio.to_thread.run_sync(lambda: operation.handle(call))
    if operation.answer is None:
        return StreamingResponse(made, media_type=operation.media)
    data = await anyio.to_thread.run_sync(lambda: ADAPTERS[operation.name].dump_json(made))
    return Response(data, operation.status, media_type=operation.media)


def asked_for(operation: Operation, request: Request) -> BaseModel:
    assert operation.query is not None
    many = [name for name, field in operation.query.model_fields.items() if "list" in str(field.annotation)]
    given: dict[str, Any] = {
        name: request.query_params.getlist(name) if name in many else value
        for name, value in request.query_params.items()
    }
    if operation.name == "stream" and "after" not in given and request.headers.get("last-event-id", "").isdigit():
        given["after"] = request.headers["last-event-id"]
    return checked(operation.query, given)


async def sent(model: type[BaseModel], request: Request) -> BaseModel:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "send JSON, as application/json")
    try:
        return model.model_validate_json(await body_of(request))
    except ValidationError as error:
        raise HTTPException(400, words_of(error)) from error


async def body_of(request: Request) -> bytes:
    """What was sent, not more than a request needs."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > BODY:
            raise HTTPException(413, f"a request has at most {BODY:,} bytes")
    return bytes(data)


def checked(model: type[BaseModel], given: dict[str, Any]) -> BaseModel:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise HTTPException(400, words_of(error)) from error


def words_of(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, item['loc'])) or 'body'}: {item['msg']}" for item in error.errors())
