"""The pages: each function takes a request and gives a template with what it shows."""

from collections.abc import Callable
from math import ceil
from typing import Any

from jinja2 import Environment
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from loopsmith import report
from loopsmith.errors import HarnessError, UsageError
from loopsmith.records import Campaign, Candidate, Status
from loopsmith.report.figure import Across
from loopsmith.serve import diff
from loopsmith.serve.known import Known, known
from loopsmith.serve.overview import overview
from loopsmith.serve.site import Site
from loopsmith.serve.words import environment
from loopsmith.tracker.browse import SortKey

PER_PAGE = 50
EVENTS = 100
LESSONS = 50
TAIL = 12_000  # bytes of a log's end on the page of a candidate
WIDEST = 10**9  # of a page's number


class Pages:
    """The pages of a site, made from templates."""

    def __init__(self, site: Site):
        self.site = site
        self.templates: Environment = environment()

    def warm(self, campaign: Campaign) -> None:
        """Make ready what the first page needs."""
        for name in self.templates.list_templates():
            self.templates.get_template(name)
        overview(self.site, campaign, "candidates")

    def render(
        self, request: Request, name: str, *, status: int = 200, topic: str | None = None, **values: Any
    ) -> Response:
        """A page.

        Args:
            topic: what its version is of; None where it does not change.
        """
        access = self.site.access
        shared = {
            "request": request,
            "topic": topic,
            "page_version": getattr(request.state, "version", "") if values.get("fresh", True) else "older",
            "control": access.control,
            "acting": self.site.may_act(request),
            "signed_in": access.granted(request),
            "has_token": access.token is not None,
        }
        text = self.templates.get_template(name).render(**shared, **values)
        return HTMLResponse(text.encode("utf-8", "replace"), status_code=status)

    def problem(self, request: Request, status: int, message: str) -> Response:
        """What went wrong, as a page that comes back by itself where that may help."""
        if status == 401:
            return self.render(request, "login.html", status=401, next=request.url.path, wrong="")
        topic = request.path_params.get("campaign", "") if status == 503 else None
        watched: dict[str, Any] = {"watched": topic is not None, "watched_topic": topic or ""}
        answer = self.render(request, "error.html", status=status, code=status, message=message, **watched)
        if status == 503:
            answer.headers["retry-after"] = "2"
        return answer

    # --- the list and a campaign

    def campaigns(self, request: Request) -> Response:
        site = self.site
        rows = [(campaign, site.status(campaign)) for campaign in site.source.store().campaigns()]
        return self.render(request, "campaigns.html", topic="", rows=rows, report=report)

    def campaign(self, request: Request) -> Response:
        campaign = self._campaign(request)
        across: Across = "time" if request.query_params.get("across") == "time" else "candidates"
        values = overview(self.site, campaign, across)
        return self.render(request, "campaign.html", topic=campaign.id, campaign=campaign, **values)

    def candidates(self, request: Request) -> Response:
        campaign, asked = self._campaign(request), request.query_params
        statuses = [item for item in Status if item.value in asked.getlist("status")]
        sort = asked.get("sort", "")
        key = SortKey(sort) if sort in SortKey.__members__.values() else SortKey.NUMBER
        descending = asked.get("order") != "up"
        page = whole(asked.get("page", ""), 1)
        search = asked.get("search", "")[:200]
        found = self.site.source.store().browse(
            campaign.id,
            statuses=statuses or None,
            search=search,
            sort=key,
            descending=descending,
            limit=PER_PAGE,
            offset=(page - 1) * PER_PAGE,
        )
        asked_for = {"search": search, "status": [str(each) for each in statuses]}
        return self.render(
            request,
            "candidates.html",
            topic=campaign.id,
            campaign=campaign,
            page=found,
            number=page,
            pages=max(1, ceil(found.total / PER_PAGE)),
            sort=str(key),
            descending=descending,
            keys=list(SortKey),
            statuses=list(Status),
            asked=asked_for,
        )

    # --- candidates

    def candidate(self, request: Request) -> Response:
        campaign = self._campaign(request)
        found = known(self.site.source, campaign.id, request.path_params["candidate"])
        files, left_out = diff.parse(found.patch or "")
        return self.render(
            request,
            "candidate.html",
            topic=campaign.id,
            campaign=campaign,
            known=found,
            plan=report.plan_words(found.candidate),
            files=files,
            left_out=left_out,
            tail=self._tail(campaign, found),
            objective=campaign.settings["objective"],
        )

    def show(self, request: Request) -> Response:
        """What `loopsmith show` prints."""
        campaign = self._campaign(request)
        store = self.site.source.store()
        candidate = store.find_candidate(campaign.id, request.path_params["candidate"])
        return plain(report.show(store, candidate, self.site.source.patch(candidate) or ""))

    def patch(self, request: Request) -> Response:
        campaign = self._campaign(request)
        candidate = self.site.source.store().find_candidate(campaign.id, request.path_params["candidate"])
        patch = self.site.source.patch(candidate)
        if not patch:
            raise HTTPException(404, "this candidate has no patch, or loopsmith's repository does not hold it")
        return plain(patch)

    def transcript(self, request: Request) -> Response:
        campaign = self._campaign(request)
        store = self.site.source.store()
        candidate = store.find_candidate(campaign.id, request.path_params["candidate"])
        found = [item for item in store.artifacts(campaign.id, candidate.id) if item.kind == "transcript"]
        parts = [self.site.source.read(item) for item in found]
        if not found or None in parts:
            raise HTTPException(404, "this candidate has no transcript, or its file is gone")
        texts = [part.decode("utf-8", "replace") for part in parts if part is not None]
        return plain("\n\n".join("\n".join(report.readable(text)) for text in texts))

    def file(self, request: Request) -> Response:
        """A log or another file of a candidate, or of the baseline, as plain text."""
        campaign = self._campaign(request)
        store = self.site.source.store()
        name = request.path_params["candidate"]
        candidate_id = None if name == "baseline" else store.find_candidate(campaign.id, name).id
        found = self.site.source.files(campaign.id, candidate_id)
        index = request.path_params["index"]
        data = self.site.source.read(found[index]) if index < len(found) else None
        if data is None:
            raise HTTPException(404, "there is no such file, or it is gone, or it lies outside of the state folder")
        return plain(data.decode("utf-8", "replace"))

    def compare(self, request: Request) -> Response:
        campaign, asked = self._campaign(request), request.query_params
        names = [asked.get("a", "").strip(), asked.get("b", "").strip()]
        if not all(names):
            return self.render(request, "compare.html", topic=None, campaign=campaign, pair=None, names=names)
        source = self.site.source
        pair = [known(source, campaign.id, name) for name in names]
        patches = [diff.parse(each.patch or "", diff.MOST // 2) for each in pair]
        between = self._between(*(each.candidate for each in pair))
        return self.render(
            request,
            "compare.html",
            topic=campaign.id,
            campaign=campaign,
            names=names,
            pair=pair,
            patches=patches,
            between=diff.parse(between, diff.MOST // 2) if between is not None else None,
            metrics=metrics_of(pair),
        )

    # --- what was learned, what happened

    def memory(self, request: Request) -> Response:
        campaign, search = self._campaign(request), request.query_params.get("search", "")[:200]
        store = self.site.source.store()
        reflections = (
            store.search_reflections(campaign.id, search, LESSONS)
            if search.strip()
            else store.reflections(campaign.id, limit=LESSONS)
        )
        return self.render(
            request,
            "memory.html",
            topic=campaign.id,
            campaign=campaign,
            search=search,
            lessons=store.lessons(campaign.id, retired=True),
            reflections=reflections,
        )

    def events(self, request: Request) -> Response:
        campaign = self._campaign(request)
        before = whole(request.query_params.get("before", ""), 0)
        found = self.site.source.store().events_before(campaign.id, before or None, EVENTS + 1)
        return self.render(
            request,
            "events.html",
            topic=campaign.id,
            campaign=campaign,
            events=found[:EVENTS],
            before=before,
            older=found[EVENTS - 1].id if len(found) > EVENTS else None,
        )

    # --- parts

    def _campaign(self, request: Request) -> Campaign:
        try:
            return self.site.campaign(request.path_params["campaign"])
        except UsageError as error:
            raise HTTPException(404, str(error)) from error

    def _tail(self, campaign: Campaign, found: Known) -> tuple[int, str] | None:
        """The end of a candidate's last log, with its place among its files."""
        logs = [file for file in found.files if file.kind in ("log", "output")]
        if not logs:
            return None
        files = self.site.source.files(campaign.id, found.candidate.id)
        data = self.site.source.read(files[logs[-1].index], TAIL)
        return (logs[-1].index, data.decode("utf-8", "replace")) if data else None

    def _between(self, one: Candidate, other: Candidate) -> str | None:
        """The way from one candidate's files to another's."""
        repository = self.site.source.repository()
        if repository is None or not one.commit or not other.commit:
            return None
        return guarded(lambda: repository.diff(one.commit or "", other.commit or ""))


def guarded(make: Callable[[], str]) -> str | None:
    try:
        return make()
    except HarnessError:
        return None


def metrics_of(pair: list[Known]) -> list[tuple[str, list[float | None]]]:
    """Each metric's mean over the runs of each candidate's own files."""
    names = sorted({item.metric for each in pair for item in each.measurements})
    rows = []
    for name in names:
        means: list[float | None] = []
        for each in pair:
            own = [
                item.value
                for item in each.measurements
                if item.metric == name and item.commit == each.candidate.commit and item.phase != "holdout"
            ]
            means.append(sum(own) / len(own) if own else None)
        rows.append((name, means))
    return rows


def whole(text: str, least: int) -> int:
    """A number that a person may have typed into an address."""
    return min(max(int(text), least), WIDEST) if text.isascii() and text.isdigit() and len(text) < 12 else least


def plain(text: str) -> Response:
    """Text that no browser takes for anything else."""
    data = text.encode("utf-8", "replace")
    return PlainTextResponse(data, headers={"content-disposition": "inline", "x-content-type-options": "nosniff"})
