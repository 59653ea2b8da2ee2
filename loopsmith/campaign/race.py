"""Race: the first candidate of a round that screens better by a margin ends the round's other workers."""

from loopsmith.campaign.context import Context
from loopsmith.campaign.measure.replicates import level_of, noise_of
from loopsmith.campaign.observation import gain_of
from loopsmith.campaign.stop import Stop
from loopsmith.records import Candidate, Decision, Round, Status, Verdict
from loopsmith.search.budget import End
from loopsmith.verify.noise import detectable
from loopsmith.verify.statistics import needed_share

WON = "round.won"


class Race:
    """Whether a round's workers may go on; without `search.race` they always may.

    The winner is written down as an event before anything ends, so that a round that was killed then ends the same.
    """

    def __init__(self, context: Context, round_: Round):
        self.context, self.end = context, Stop()
        if not context.settings.search.race:
            return
        for event in context.store.events(context.id, name=WON, newest_first=True, limit=1):
            if event.round_id == round_.id:
                self._end(event.candidate_id or "")
        for candidate in context.store.candidates(context.id, round_id=round_.id, statuses=(Status.SCREENED,)):
            self.consider(candidate)

    @property
    def over(self) -> bool:
        return self.end.end is not None

    def consider(self, candidate: Candidate) -> None:
        """End the race if a screened candidate wins it."""
        if self.context.settings.search.race and not self.over and leads(self.context, candidate):
            self.context.emit(WON, candidate)
            self._end(candidate.id)

    def superseded(self) -> Decision:
        """The decision on a worker that was ended."""
        assert self.end.end is not None
        return Decision(verdict=Verdict.TIMED_OUT, reason=self.end.end.message, rule="race")

    def _end(self, winner: str) -> None:
        number = winner.rpartition(".")[2]
        message = f"superseded: candidate {number} screened better by a margin, which ended the round's other workers"
        self.end.request(End(reason="race", message=message))


def leads(context: Context, candidate: Candidate) -> bool:
    """Whether a screened gain is one that confirmations find four times in five; of an exact metric any that counts."""
    objective, gain = context.settings.objective, gain_of(context, candidate)
    centre = level_of(context, context.base(candidate)).value
    if not objective.clears(centre, gain):
        return False
    found = 0.0 if context.exact else detectable(noise_of(context, objective.metric), context.settings.repeats.confirm)
    return gain >= max(found, needed_share(objective, centre))
