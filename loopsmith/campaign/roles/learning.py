"""Learn: after a round is verified, a reflector turns what it showed into lessons."""

from loopsmith.campaign.context import Context
from loopsmith.campaign.feedback import feedback
from loopsmith.campaign.roles.consult import ask, plays
from loopsmith.campaign.roles.profiling import known_profile
from loopsmith.records import Round
from loopsmith.search.reflector import Remember, Result, learned, request

ROLE = "reflector"


async def learn(context: Context, round_: Round) -> None:
    """Change the lessons by the results of a round, once. Without a reflector the reflections say what was learned.

    Raises:
        Stopped: the campaign stops first; the next run of the campaign learns from this round.
    """
    store = context.store
    if not plays(context, ROLE):
        return
    await context.pause.gate()
    results, said_of = [], feedback(context)
    for candidate in store.candidates(context.id, round_id=round_.id):
        decision = store.decision(candidate.id)
        if decision is None:
            continue
        patch = ""
        if candidate.commit is not None:
            patch = context.repository.patch(context.base(candidate), candidate.commit).text
        output = str(decision.evidence.get("tail", ""))
        words = said_of.get(candidate.commit or "", "")
        results.append(Result(candidate=candidate, decision=decision, patch=patch, output=output, feedback=words))
    if not results:
        return
    lessons = store.lessons(context.id)
    prompt = request(context.settings, results, lessons, known_profile(context, round_.baseline_commit))
    said, answer = await context.stop.unless(
        ask(context, ROLE, f"r{round_.number}", Remember, prompt, round_id=round_.id)
    )
    if said is None or answer is None:
        return
    change = learned(said, results, lessons)
    if store.learn(answer, change):
        context.emit(
            "lessons.learned",
            round_id=round_.id,
            new=len(change.new),
            shown_again=len(change.shown),
            retired=len(change.retired),
        )
