"""The section `notify`: who is told what happens in a campaign, and of what."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from loopsmith.workflow.section import Section
from loopsmith.workflow.units import Duration
from loopsmith.workflow.values import Many, Secret, Text

Occasion = Literal["kept", "quarantined", "stalled", "budget", "finished", "failed"]
OCCASIONS: tuple[Occasion, ...] = ("kept", "quarantined", "stalled", "budget", "finished", "failed")


def _webhook(value: Any) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str) or not value.strip():
        raise ValueError("it must be a URL, or name an environment variable that holds one, such as $SLACK_WEBHOOK")
    secret = Secret(value.strip())
    dumped = not secret.get_secret_value().strip("*")  # settings that were written down hold stars in its place
    if not secret.unset and not dumped and not re.fullmatch(r"https?://[^\s/]+\S*", secret.get_secret_value()):
        what = f"the value of ${secret.variable}" if secret.variable else "it"
        raise ValueError(f"{what} is not a URL; it starts with http:// or https://")
    return secret


def _listed(value: Any) -> Any:
    """One target is written as a map, several as a list of maps."""
    return (value,) if isinstance(value, dict) else value


Webhook = Annotated[Secret, BeforeValidator(_webhook), PlainSerializer(str, return_type=str)]


class Notify(Section):
    """Ways to tell a person, and what is told in them."""

    command: Text | None = Field(
        default=None, description="a shell command of your own, outside the sandbox: the record as JSON on its input"
    )
    webhook: Webhook | None = Field(
        default=None, description='where {"text": ...} is posted, as Slack takes it; a URL or $NAME'
    )
    desktop: bool = Field(default=False, description="a notification of the desktop: notify-send, or osascript")
    on: Many[Occasion] = Field(default=OCCASIONS, min_length=1, description="what is told")
    timeout: Duration = Field(default=30.0, description="of one command, or one request")

    @model_validator(mode="after")
    def _somewhere(self) -> "Notify":
        if self.command is None and self.webhook is None and not self.desktop:
            raise ValueError("say how: give a command, a webhook, or desktop: true")
        return self


Targets = Annotated[tuple[Notify, ...], BeforeValidator(_listed), Field(strict=False)]
