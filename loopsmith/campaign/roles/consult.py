"""Ask a role: its model or its command, within its share of the budget, once for each question."""

import json
from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from loopsmith import process
from loopsmith.agents import prompts
from loopsmith.agents.conversation import complete_once
from loopsmith.agents.ensemble import Ensemble
from loopsmith.agents.model import ConversationError, Model
from loopsmith.campaign.context import Context
from loopsmith.campaign.live.activity import asked
from loopsmith.errors import LimitReached, ProviderError
from loopsmith.lessons import Answer
from loopsmith.log import mask
from loopsmith.process import clean_environment
from loopsmith.records import Usage
from loopsmith.search.budget import check_call
from loopsmith.workflow.quote import one_line
from loopsmith.workflow.roles import Role
from loopsmith.workspace import make_verification_folder, remove_folder

A = TypeVar("A", bound=BaseModel)
READ = 1_000_000  # bytes of what a command prints


def plays(context: Context, role: str) -> bool:
    """Whether a role is on."""
    section: Role = getattr(context.settings.roles, role)
    return role in context.roles or (section.command is not None and section.enabled is not False)


async def ask(
    context: Context,
    role: str,
    key: str,
    answer: type[A],
    prompt: str,
    *,
    round_id: str | None = None,
    candidate_id: str | None = None,
) -> tuple[A | None, Answer | None]:
    """What a role says, with the record of it; None where it says nothing, or is silent.

    An answer is written with its cost in one transaction, and a question is asked once: a run that goes on after a
    kill finds the answer of the one before it.

    Raises:
        ProviderError: the provider of its model refuses for good.
    """
    known = context.store.answer(context.id, role, key)
    if known is None:
        if not plays(context, role):
            return None, None
        with asked(context, role, candidate_id):
            known = await consult(context, role, key, answer, prompt, round_id, candidate_id)
    return (answer.model_validate(known.data) if known is not None and known.data else None), known


async def consult(
    context: Context,
    role: str,
    key: str,
    answer: type[A],
    prompt: str,
    round_id: str | None,
    candidate_id: str | None,
) -> Answer | None:
    """Ask now, and write down the answer; None when the budget does not allow it."""
    section: Role = getattr(context.settings.roles, role)
    settlements: list[tuple[int, Usage]] = []
    said: A | None = None
    try:
        if section.command is not None:
            said = await run_command(context, role, key, section.command, answer, prompt)
        else:
            said = await ask_model(
                context, role, context.roles[role], answer, prompt, settlements, round_id, candidate_id
            )
    except LimitReached as limit:
        silence(context, role, limit)
        settle(context, settlements)
        return None
    except BaseException:
        settle(context, settlements)
        raise
    data = json.loads(mask(said.model_dump_json())) if said is not None else {}
    return context.store.record_answer(
        context.id, role, key, data, round_id=round_id, candidate_id=candidate_id, settlements=settlements
    )


async def ask_model(
    context: Context,
    role: str,
    model: Model,
    answer: type[A],
    prompt: str,
    settlements: list[tuple[int, Usage]],
    round_id: str | None,
    candidate_id: str | None,
) -> A | None:
    """One structured answer of a model; its calls are settled with what is written of it."""
    model = context.agent.lent(model) if isinstance(context.agent, Ensemble) else model

    def reserve(usage: Usage) -> int:
        return reserve_share(context, role, usage, round_id, candidate_id)

    def later(row: int, usage: Usage) -> None:
        settlements.append((row, usage))

    reason = "it gave no answer that fits, asked twice"
    try:
        said = await complete_once(
            model,
            answer,
            role=role,
            system=prompts.ROLES[role],
            prompt=mask(prompt),
            reserve=reserve,
            settle=later,
            scope=(candidate_id or "").rpartition(".")[2],
        )
    except ProviderError:
        if not isinstance(context.agent, Ensemble) or not context.agent.lose_model(model):
            raise
        return await ask_model(context, role, model, answer, prompt, settlements, round_id, candidate_id)
    except ConversationError as error:
        said, reason = None, str(error)
    if said is None:
        context.emit("role.failed", role=role, reason=reason)  # a round without it is a round all the same
    return said


def reserve_share(context: Context, role: str, usage: Usage, round_id: str | None, candidate_id: str | None) -> int:
    """Check the role's share and every limit around it, then write the call into the ledger.

    A limit that it meets is the role's alone: it is silent, and the campaign goes on.

    Raises:
        LimitReached: nothing was spent.
    """
    store, budget, share = context.store, context.settings.budget, getattr(context.settings.roles, role).share
    cost = None if budget.cost_usd is None else budget.cost_usd * share
    tokens = None if budget.tokens is None else int(budget.tokens * share)
    check_call(f"roles.{role}.share", store.spent(context.id, role=role), usage, cost_usd=cost, tokens=tokens)
    if round_id is not None:
        limits = budget.per_round
        spent = store.spent(context.id, round_id=round_id)
        check_call("budget.per_round", spent, usage, cost_usd=limits.cost_usd, tokens=limits.tokens)
    check_call("budget", store.spent(context.id), usage, cost_usd=budget.cost_usd, tokens=budget.tokens)
    return store.reserve(campaign_id=context.id, round_id=round_id, candidate_id=candidate_id, usage=usage)


def silence(context: Context, role: str, limit: LimitReached) -> None:
    """Say once in a run that a role has no budget left."""
    if role not in context.silent:
        context.silent.add(role)
        context.emit("role.silent", role=role, reason=f"{limit}; the next call would pass it")


def settle(context: Context, settlements: Sequence[tuple[int, Usage]]) -> None:
    for row, usage in settlements:
        context.store.settle(row, usage)


async def run_command(context: Context, role: str, key: str, command: str, answer: type[A], prompt: str) -> A | None:
    """What a command says: a JSON object of the answer's schema, as the last thing that it prints.

    It runs in a fresh folder with the baseline, in the sandbox of the workflow's other commands, and reads a JSON
    object with the role, its instructions (system), the prompt and the schema.
    """
    settings = context.settings
    request = {"role": role, "system": prompts.ROLES[role], "prompt": prompt, "schema": answer.model_json_schema()}
    folder = context.state.work(context.id) / f"{role}.{key}"
    log = context.state.artifacts(context.id) / f"{role}-{key}.log"
    make_verification_folder(
        context.repository, context.baseline(), folder, source=context.workflow.source, links=settings.workspace.link
    )
    try:
        done = await process.run(
            context.sandbox.wrap(
                context.sandbox.shell(command), folder=folder, network=settings.guardrails.network == "allow"
            ),
            cwd=folder,
            env=clean_environment(settings.verify.env),
            timeout=settings.verify.timeout,
            log=log,
            mark=f"{context.id}.{role}",
            stdin=mask(json.dumps(request)).encode(),
            limits=context.sandbox.limits,
        )
    finally:
        remove_folder(folder)
    problem = ""
    if not done.ok:
        problem = "it took too long" if done.timed_out else done.limit or f"it exited with code {done.exit_code}"
    else:
        try:
            with log.open("rb") as file:
                return answer.model_validate(last_object(file.read(READ).decode(errors="replace")))
        except (ValueError, ValidationError) as error:
            problem = f"it printed no answer that fits: {error}"
    context.emit("role.failed", role=role, reason=f"{one_line(problem)}; see {log}")
    return None


def last_object(text: str) -> object:
    """The JSON object that a text ends with.

    Raises:
        ValueError: there is none.
    """
    text = text.strip()
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        try:
            found, end = decoder.raw_decode(text, start)
        except ValueError:
            end = start
        else:
            if end == len(text):
                return found
        start = text.find("{", max(end, start + 1))
    raise ValueError("its output does not end with a JSON object")
