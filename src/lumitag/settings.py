"""Every setting, typed, with its unit in its name.

A setting is read from the environment (`LUMITAG_PORT`), else from `lumitag.toml` in the working folder
(or the file that `LUMITAG_CONFIG` names), else it has the default written here.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from lumitag.domain import USUAL_MIN_CONFIDENCE
from lumitag.errors import InvalidSettings, TokenMissing

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Settings(BaseSettings):
    """The settings of one Lumitag installation. `docs/settings.md` lists them with examples."""

    model_config = SettingsConfigDict(
        env_prefix="LUMITAG_", env_ignore_empty=True, extra="forbid", frozen=True, validate_default=True
    )

    platform: Literal["local"] = Field("local", description="Where the pipeline runs.")
    data: Path = Field(Path("lumitag-data"), description="The folder that holds everything Lumitag stores.")

    host: str = Field("127.0.0.1", description="The address to listen on. Beyond this machine a token is needed.")
    port: int = Field(8000, ge=0, le=65535, description="The port to listen on; 0 picks a free one.")
    token: SecretStr | None = Field(None, min_length=16, description="Every request must carry it when it is set.")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Further names that this server answers to, `name` or `name:port`, separated by commas."
    )
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^/\s]+$",
        description="How others reach this server, for links.",
    )

    workers: int = Field(
        default_factory=lambda: (
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        ),
        ge=1,
        le=256,
        description="How many recognizer processes run; by default one a core.",
    )
    recognize_timeout_s: float = Field(20.0, gt=0, description="An image that takes longer costs it one attempt.")
    recognizer_memory_bytes: int = Field(
        1 << 30, ge=256 << 20, description="The most memory that one recognizer process may use."
    )
    max_receive_count: int = Field(5, ge=1, le=1000, description="An image that fails this often is a dead letter.")
    visibility_timeout_s: float = Field(300.0, gt=0, description="How long a received message stays hidden.")

    max_image_bytes: int = Field(15_000_000, ge=1, description="The largest upload, in bytes.")
    max_image_pixels: int = Field(50_000_000, ge=1, description="The most pixels that are decoded.")
    max_image_side_px: int = Field(10_000, ge=1, description="The longest side that is decoded, in pixels.")
    min_image_side_px: int = Field(80, ge=1, description="The shortest side that is recognized, in pixels.")
    upload_lifetime_s: int = Field(600, ge=1, le=3600, description="How long an upload URL is valid.")
    min_free_bytes: int = Field(200_000_000, ge=0, description="Uploads are refused when the disk has less room.")

    image_properties: bool = Field(True, description="Whether dominant colours and quality are measured and stored.")
    storage_floor_percent: float = Field(30.0, gt=0, lt=100, description="Labels below this confidence are not stored.")
    min_confidence_percent: float = Field(
        USUAL_MIN_CONFIDENCE, ge=0, le=100, description="Labels below this are not shown by default."
    )
    max_labels: int = Field(10, ge=1, le=1000, description="At most this many labels are shown by default.")

    classifier_model: Path | None = Field(
        None, description="An own classifier: the TOML file that describes it; see docs/own-models.md."
    )
    detector_model: Path | None = Field(None, description="An own detector, described in the same way.")
    labels_file: Path | None = Field(
        None, description="A file that renames, moves, hides or adds labels; see docs/labels.md."
    )

    smtp_host: str | None = Field(None, description="The mail server. Without one, mails wait in the outbox.")
    smtp_port: int = Field(587, ge=1, le=65535, description="The port of the mail server.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the connection is encrypted."
    )
    smtp_user: str | None = Field(None, description="The user name for the mail server, if it asks for one.")
    smtp_password: SecretStr | None = Field(None, description="The password for the mail server.")
    mail_from: str = Field("lumitag@localhost", description="The sender of mails.")
    notify_timeout_s: float = Field(10.0, gt=0, description="How long a mail server or webhook may take to answer.")
    notify_max_attempts: int = Field(
        8, ge=1, le=1000, description="A notification that fails this often is a dead letter."
    )
    webhook_allow_private: bool | None = Field(
        None, description="Whether webhooks may reach this machine; by default only if the server listens on loopback."
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least level to log.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic passes it by this name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments first, then the environment, then the TOML file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=_settings_file())

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _floor_below_view(self) -> Settings:
        if self.storage_floor_percent > self.min_confidence_percent:
            raise ValueError("storage_floor_percent must not be above min_confidence_percent")
        return self

    @property
    def is_loopback(self) -> bool:
        """Whether the server can only be reached from this machine."""
        return is_loopback(self.host)

    @property
    def webhooks_may_be_private(self) -> bool:
        """Whether a webhook may point at this machine or its network."""
        return self.is_loopback if self.webhook_allow_private is None else self.webhook_allow_private


def load_settings(**overrides: Any) -> Settings:  # noqa: ANN401 - one value of any setting's type each
    """Return the settings, `overrides` that are not None first. Raises InvalidSettings."""
    named = os.environ.get("LUMITAG_CONFIG")
    if named and not Path(named).exists():
        raise InvalidSettings(f"There is no settings file {named}. Correct LUMITAG_CONFIG, or unset it.")
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        raise InvalidSettings(_explain(error)) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidSettings(
            f"The settings file {_settings_file()} cannot be read: {reason}. See docs/settings.md."
        ) from error


def require_token_beyond_loopback(settings: Settings) -> None:
    """Raise TokenMissing if the server would listen beyond this machine without a token."""
    if not settings.is_loopback and settings.token is None:
        raise TokenMissing(
            f"Listening on {settings.host} lets other machines in, so a token is needed. "
            "Set LUMITAG_TOKEN to 16 or more random characters (try: openssl rand -hex 16) and start again."
        )


def is_loopback(host: str) -> bool:
    """Return whether `host` is a name or an address of this machine only."""
    if host in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _settings_file() -> str:
    return os.environ.get("LUMITAG_CONFIG") or "lumitag.toml"


def _explain(error: ValidationError) -> str:
    problems = (f"{_setting_name(problem['loc'])}: {_words(problem)}" for problem in error.errors())
    return f"The settings are not valid. {'; '.join(problems)}. See docs/settings.md."


def _words(problem: ErrorDetails) -> str:
    unknown = problem["type"] == "extra_forbidden"
    return "there is no such setting" if unknown else problem["msg"].removeprefix("Value error, ")


def _setting_name(location: tuple[int | str, ...]) -> str:
    return f"LUMITAG_{str(location[0]).upper()}" if location else "settings"
