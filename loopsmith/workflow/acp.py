"""Settings of agents that speak the Agent Client Protocol, and what is known of some of them."""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from loopsmith.workflow.section import Section, Weight, weight
from loopsmith.workflow.units import Duration, Money, quoted
from loopsmith.workflow.values import InnerPath, Many, Text, VariableName


@dataclass(frozen=True, slots=True)
class Preset:
    """A known agent.

    Args:
        argv: starts it as an ACP agent.
        install: how a person gets it.
        login: how a person logs in.
        keys: environment variables that are passed on where they are set.
        home: files of its login and its settings, copied from the person's home folder into the run's own.
        env: variables that it is started with.
        confined: what is added where loopsmith confines it, so that its own sandbox is not tried inside of ours.
    """

    argv: tuple[str, ...]
    install: str
    login: str
    keys: tuple[str, ...] = ()
    home: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    confined: tuple[str, ...] = ()


PRESETS = {
    "opencode": Preset(
        argv=("opencode", "acp"),
        install="npm install -g opencode-ai",
        login="opencode auth login",
        keys=(
            "OPENCODE_CONFIG_CONTENT",
            "OPENCODE_API_KEY",
            "ANTHROPIC_API_KEY",
            "OPENAI_API_KEY",
            "OPENROUTER_API_KEY",
        ),
        home=(".local/share/opencode/auth.json", ".config/opencode/opencode.json", ".config/opencode/opencode.jsonc"),
        env=(
            (
                "OPENCODE_PERMISSION",
                '{"edit":"ask","bash":"ask","webfetch":"ask","websearch":"ask","external_directory":"ask"}',
            ),
            ("OPENCODE_DISABLE_PROJECT_CONFIG", "1"),  # the source's files do not configure the agent
            ("OPENCODE_DISABLE_AUTOUPDATE", "1"),
        ),
    ),
    "gemini": Preset(
        argv=("gemini", "--acp", "--skip-trust"),
        install="npm install -g @google/gemini-cli",
        login="run `gemini` once by hand, or set GEMINI_API_KEY",
        keys=(
            *("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL"),
            *("GOOGLE_CLOUD_PROJECT", "GOOGLE_GENAI_USE_VERTEXAI"),
        ),
        home=(".gemini/oauth_creds.json", ".gemini/google_accounts.json", ".gemini/settings.json"),
    ),
    "qwen": Preset(
        argv=("qwen", "--acp", "--auth-type", "openai"),
        install="npm install -g @qwen-code/qwen-code",
        login="run `qwen` once by hand, or set OPENAI_API_KEY",
        keys=("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL", "DASHSCOPE_API_KEY"),
        home=(".qwen/oauth_creds.json", ".qwen/settings.json"),
    ),
    "codex-acp": Preset(
        argv=("codex-acp",),
        confined=("-c", 'sandbox_mode="danger-full-access"'),
        install="npm install -g @zed-industries/codex-acp",
        login="codex login, or set OPENAI_API_KEY",
        keys=("OPENAI_API_KEY", "CODEX_API_KEY"),
        home=(".codex/auth.json", ".codex/config.toml"),
    ),
    "claude-code-acp": Preset(
        argv=("claude-code-acp",),
        install="npm install -g @zed-industries/claude-code-acp",
        login="run `claude` once by hand and /login, or set ANTHROPIC_API_KEY",
        keys=("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "CLAUDE_CODE_OAUTH_TOKEN"),
        home=(".claude/.credentials.json",),
    ),
    "goose": Preset(
        argv=("goose", "acp"),
        install="see https://block.github.io/goose",
        login="goose configure",
        keys=("GOOSE_PROVIDER", "GOOSE_MODEL", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GOOGLE_API_KEY"),
        home=(".config/goose/config.yaml", ".config/goose/secrets.yaml"),
        env=(("GOOSE_DISABLE_KEYRING", "1"),),
    ),
    "kiro": Preset(
        argv=("kiro-cli", "acp"),
        install="see https://kiro.dev/cli",
        login="kiro-cli login",
        home=(".local/share/kiro-cli/data.sqlite3",),
    ),
}


class AcpAgent(Section):
    """A coding agent that speaks the Agent Client Protocol."""

    kind: Literal["acp"]
    program: Text | None = Field(default=None, description=f"{', '.join(PRESETS)}; none: as argv says")
    argv: Many[Text] = Field(default=(), description="starts an agent on standard input and output; none: as known")
    args: Many[Text] = Field(default=(), description="added to the command line")
    model: Text | None = Field(default=None, description="as the agent names it; none: the agent's own choice")
    silence: Duration = Field(default=600.0, description="an agent that says nothing for so long is ended")
    cost_per_run: Money | None = Field(
        default=None, description="dollars of one worker's run, where the agent reports no cost itself"
    )
    reports_cost: bool = Field(
        default=False, description="the agent says what it cost, so that cost_per_run is not needed"
    )
    env: Many[VariableName] = Field(default=(), description="environment variables to pass on, such as its key")
    login: Many[InnerPath] | None = Field(
        default=None, description="files below your home that are copied to the program's own; none: the preset's"
    )

    weight: Weight = weight()

    @model_validator(mode="after")
    def _one_program(self) -> "AcpAgent":
        if (self.program is None) == (not self.argv):
            raise ValueError("an acp agent needs either `program`, the name of a known one, or `argv`")
        if self.program is not None and self.program not in PRESETS:
            raise ValueError(f"{quoted(self.program)} is not known; there are {', '.join(PRESETS)}, or give argv")
        return self

    @property
    def known(self) -> Preset:
        if self.program is not None:
            return PRESETS[self.program]
        return Preset(argv=self.argv, install=f"install {self.argv[0]}", login=f"log in to {self.argv[0]} by hand")

    @property
    def copied(self) -> tuple[str, ...]:
        """The files of the person's home folder that the program gets a copy of."""
        return self.known.home if self.login is None else tuple(map(str, self.login))

    @property
    def cost_known(self) -> bool:
        """Whether a limit of money can hold."""
        return self.cost_per_run is not None or self.reports_cost
