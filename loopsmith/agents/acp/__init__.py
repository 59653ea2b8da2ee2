"""`agent.kind: acp`: a coding agent that speaks the Agent Client Protocol (https://agentclientprotocol.com)."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from loopsmith.agents.acp.login import secrets_in
from loopsmith.agents.acp.session import Session
from loopsmith.errors import WorkflowError
from loopsmith.log import register_secret
from loopsmith.protocols import Services, Workspace
from loopsmith.records import Brief, Report
from loopsmith.workflow.acp import AcpAgent


class Acp:
    """`Agent` over any program that speaks the protocol; each worker is a fresh process with one session."""

    def __init__(self, settings: AcpAgent):
        self.settings = settings
        self.name = f"acp/{settings.program or Path(settings.argv[0]).name}"
        if settings.model:
            self.name += f":{settings.model}"
        given = [os.environ.get(name, "") for name in (*settings.known.keys, *settings.env)]
        files = [Path.home() / name for name in settings.copied]
        given += [path.read_text(errors="replace") for path in files if path.is_file() and path.suffix == ".json"]
        for secret in (secret for text in given for secret in secrets_in(text)):
            register_secret(secret)

    def check(self, folder: Path, files: Sequence[str]) -> None:
        """See `protocols.Agent`."""
        known, problems = self.settings.known, []
        if shutil.which(known.argv[0]) is None:
            problems.append(f"the agent `{known.argv[0]}` is not installed or not on PATH: {known.install}")
        problems += [
            f"agent.env names {name}, which is not set in the environment"
            for name in self.settings.env
            if name not in os.environ
        ]
        problems += [
            f"agent.login names {name}, and there is no such file in {Path.home()}"
            for name in self.settings.login or ()
            if not (Path.home() / name).is_file()
        ]
        if not problems and not self.logged_in():
            problems.append(f"agent.program: `{known.argv[0]}` is not logged in: {known.login}")
        if problems:
            raise WorkflowError(*problems)

    def logged_in(self) -> bool:
        """Whether there is anything that a login could be, where it is known what that looks like."""
        known = self.settings.known
        given = any(os.environ.get(name) for name in (*known.keys, *self.settings.env))
        there = any((Path.home() / name).is_file() for name in self.settings.copied)
        return given or there or not (known.keys or known.home)

    async def work(self, brief: Brief, workspace: Workspace, services: Services) -> Report:
        """See `protocols.Agent`."""
        return await Session(self.settings, self.name, brief, workspace, services).run()
