"""What a campaign brought, for a program or a notebook."""

from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from loopsmith import report
from loopsmith.campaign.context import Context
from loopsmith.campaign.state import StateFolder
from loopsmith.errors import UsageError
from loopsmith.report.apply import write_kept
from loopsmith.report.export import candidates
from loopsmith.tracker import open_store
from loopsmith.workspace import Repository
from loopsmith.workspace.apply import patch_text

ROWS = 20  # kept candidates that a notebook shows


@dataclass(frozen=True, kw_only=True, slots=True)
class Best:
    """The best that was confirmed; the untouched source, without an effect, where nothing was kept.

    Attributes:
        value: the mean of the objective's metric.
        effect: the gain over the untouched source, as a share of it; 0.12 is 12 % better.
        interval: its 95 % interval.
        candidate: its number.
    """

    value: float | None
    effect: float | None
    interval: tuple[float, float] | None
    candidate: int | None


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a campaign stands.

    Attributes:
        campaign: its id.
        status: done, or stopped by a person.
        reason: why it ended, as SPEC.md lists it: `target`, `rounds`, `stopped`, ...
        message: the same in a sentence.
        baseline: the metric of the untouched source; None when it was stopped before.
        best: the best that was confirmed.
        candidates: one map for each candidate, ready for `pandas.DataFrame`, with the columns of `loopsmith export`.
        patch: all kept changes as one unified diff; empty when nothing was kept.
        cost_usd: what models cost.
        state: the folder that holds it all; `loopsmith status --state` reads it.
        view: as `loopsmith status --json` prints it.
        report: the page of its report; None where it could not be written.
    """

    campaign: str
    status: str
    reason: str
    message: str
    baseline: float | None
    best: Best
    candidates: list[dict[str, Any]] = field(repr=False)
    patch: str = field(repr=False)
    cost_usd: float
    state: Path
    view: dict[str, Any] = field(repr=False)
    report: Path | None = None

    @property
    def kept(self) -> list[dict[str, Any]]:
        """The candidates that were kept, oldest first."""
        return [row for row in self.candidates if row["status"] == "kept"]

    def apply(self, *, branch: str | None = None, patch: str | Path | None = None, squash: bool = False) -> str:
        """Write the kept changes as a branch of the source's git repository, one commit each, or as a patch file.

        Args:
            branch: its name; default `loopsmith/CAMPAIGN`.
            patch: write one file instead.
            squash: one commit of all changes, whose message lists them.

        Returns:
            a sentence that says where they are.

        Raises:
            UsageError: nothing was kept, or it does not apply.
        """
        if patch is not None:
            if branch is not None:
                raise UsageError("give either a branch or a patch")
            patch = Path(patch).expanduser()
        folder = StateFolder(self.state)
        with open_store(folder.tracker, read_only=True) as store:
            repository = Repository.open(folder.root)
            campaign = store.campaign(self.campaign)
            return write_kept(store, repository, campaign, branch=branch, patch=patch, squash=squash)

    def rows(self) -> list[tuple[str, str]]:
        """What happened, as (name, words)."""
        return [
            ("campaign", f"{self.campaign}, {self.status} ({self.reason})"),
            ("ended", self.message.splitlines()[0] if self.message else ""),
            ("result", report.outcome(self.view)),
            ("tried", report.tried(self.view)),
            ("spent", report.spent(self.view)),
            ("report", str(self.report or "")),
        ]

    def __str__(self) -> str:
        return "\n".join(f"{name:<9} {words}" for name, words in self.rows() if words)

    def _repr_html_(self) -> str:
        rows = [(name, words) for name, words in self.rows() if words]
        rows += [(f"c{row['candidate']}", f"kept: {row['hypothesis'] or row['summary']}") for row in self.kept[-ROWS:]]
        cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(words)}</td></tr>" for name, words in rows)
        return f"<table>{cells}</table>"


def result_of(context: Context, report_page: Path | None = None) -> Result:
    """The result of a campaign that has ended, for now."""
    store, state = context.store, context.state.root
    campaign = store.campaign(context.id)
    view = report.status(store, campaign)
    best = view["best"]
    changed = best["candidate"] is not None
    return Result(
        campaign=campaign.id,
        status=view["campaign"]["status"],
        reason=campaign.stop_reason or "",
        message=campaign.message or "",
        baseline=view["baseline"]["value"],
        best=Best(
            value=best["value"],
            effect=best["effect"],
            interval=tuple(best["interval"]) if best["interval"] else None,
            candidate=best["candidate"],
        ),
        candidates=candidates(store, campaign.id),
        patch=patch_text(context.repository, campaign.origin_commit, campaign.baseline_commit) if changed else "",
        cost_usd=view["usage"]["cost_usd"],
        state=state,
        view=view,
        report=report_page,
    )
