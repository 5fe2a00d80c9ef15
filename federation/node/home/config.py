"""One node's settings: read once from `<home>/node.toml`, checked, frozen.

Rules kept: unknown keys are errors; the field comments are the manual; the node refuses to start rather than guess.
Environment variables named `BRIDGEHEAD_<FIELD>` override the file (`bridgehead node config` prints what is in force).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from federation.protocol.errors import MalformedError, NotFoundError
from federation.wire.limits import MAX_CONNECTIONS, SLOW_SECONDS

Port = Annotated[int, Field(ge=0, le=65535)]


_EVERY_ADDRESS = frozenset({"0.0.0.0", "::", "[::]"})  # noqa: S104 - addresses to listen on, not to be reached at


class NodeSettings(BaseSettings):
    """The settings that a province decides for its own machine. All else is in the agreement."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_prefix="BRIDGEHEAD_")

    node: str
    """This node's name, as in the agreement."""
    federation: str
    """The trust domain of every certificate, as in the agreement."""
    realm: Literal["demo", "live"]
    """`demo` accepts synthetic people only; `live` refuses them."""
    host: str = "127.0.0.1"
    """The address to listen on, for all three ports."""
    advertise: str = ""
    """The name or address that others reach this node by; empty where it is the address it listens on."""
    advertise_peer: str = ""
    """host:port for the other provinces, where it is not `advertise` with the port below: behind a relay."""
    advertise_read: str = ""
    """URL for auditors and witnesses, where it is not http:// with `advertise` and the port below."""
    peer_port: Port = 7101
    """gRPC for the other provinces."""
    agency_port: Port = 7102
    """gRPC for this province's own agencies."""
    read_port: Port = 7103
    """HTTP for auditors and witnesses: tiles, checkpoints, health."""
    metrics_host: str = "127.0.0.1"
    """The address that metrics are served on: for the province's own monitoring, not for strangers."""
    metrics_port: Port = 0
    """HTTP for Prometheus; 0 serves none. The rules of `nodes/alerts.yml` go with it."""
    database: str = "sqlite:///node.db"
    """SQLAlchemy URL; a relative SQLite path lies in the node's home."""
    reflection: bool = False
    """Whether gRPC reflection answers: for demonstrations only, refused in the live realm."""
    group_window_ms: Annotated[float, Field(ge=0, le=100)] = 1.0
    """How long the writer waits for company when messages come together."""
    group_limit: Annotated[int, Field(ge=1, le=4096)] = 256
    """The most jobs that one commit takes."""
    delivery_batch: Annotated[int, Field(ge=1, le=256)] = 32
    """The most messages that one Submit call carries."""
    delivery_calls: Annotated[int, Field(ge=1, le=16)] = 4
    """The most Submit calls in flight to one peer."""
    delivery_timeout_seconds: Annotated[float, Field(gt=0, le=120)] = 20.0
    """The deadline of one Submit call."""
    delivery_pause_seconds: Annotated[float, Field(gt=0, le=600)] = 15.0
    """The longest pause between two tries to reach a peer that is down."""
    witness_seconds: Annotated[float, Field(ge=0.05, le=600)] = 1.0
    """How often a grown log's newest checkpoint is offered to the peers."""
    agreement_seconds: Annotated[float, Field(ge=0.05, le=3600)] = 5.0
    """How often the home is looked at for a newer agreement."""
    agreement_fetch_rounds: Annotated[int, Field(ge=1, le=10_000)] = 12
    """Every how many of those rounds the peers are asked too."""
    retention_seconds: Annotated[float, Field(ge=0.05, le=86_400)] = 60.0
    """How often what has ended is looked for and destroyed."""
    intake_seconds: Annotated[float, Field(ge=0.05, le=600)] = 5.0
    """How often the clocks of look-ups that wait for a person are looked at: second requests, escalation, expiry."""
    answers_per_office_day: Annotated[int, Field(ge=1)] = 200
    """The most look-ups that one office of another province gets answered in a day."""
    answers_by_number_per_office_day: Annotated[int, Field(ge=1)] = 30
    """The most of them by the number of a permit or a plate, of which one leads to the next."""
    refusals_a_minute: Annotated[int, Field(ge=1)] = 240
    """The most acts of one agency or member that end in a refusal, before it is turned away unjudged for a while."""
    connections_a_source: Annotated[int, Field(ge=16, le=MAX_CONNECTIONS // 2)] = 128
    """The most connections of one address (IPv6: /64) to each gRPC port. Who sits behind one relay is one address."""
    slow_reader_seconds: Annotated[float, Field(ge=0.05, le=3600)] = SLOW_SECONDS
    """How long a stream waits for a reader that takes nothing of it, before it is ended and then hung up on."""
    lookups_a_desk_day: Annotated[int, Field(ge=1, le=10_000_000)] = 200
    """How many look-ups one certificate of an office may ask for a day, whoever sits there."""
    lookups_an_office_day: Annotated[int, Field(ge=1, le=10_000_000)] = 1000
    """How many look-ups an office may ask for a day."""
    cases_an_office_day: Annotated[int, Field(ge=1, le=100_000)] = 20
    """How many cases an office may open a day."""
    document_seconds: Annotated[float, Field(ge=0.05, le=600)] = 5.0
    """How often it is looked for documents that are wanted from another province, or were not filed in their time."""
    documents_gib_an_office: Annotated[int, Field(ge=1, le=100_000)] = 20
    """How much room the documents take that one office has uploaded, in GiB."""
    documents_gib_a_province: Annotated[int, Field(ge=1, le=100_000)] = 50
    """How much room the documents take that were pulled from one other province, in GiB."""
    documents_gib: Annotated[int, Field(ge=1, le=1_000_000)] = 200
    """How much room all documents take, in GiB."""
    drain_seconds: Annotated[float, Field(ge=0, le=120)] = 5.0
    """How long a stopping node finishes what it has begun."""

    @property
    def reached(self) -> str:
        return self.advertise or self.host

    @property
    def peer_address(self) -> str:
        """The one source of what the agreement says about where the other provinces reach this node."""
        return self.advertise_peer or f"{self.reached}:{self.peer_port}"

    @property
    def agency_address(self) -> str:
        return f"{self.reached}:{self.agency_port}"

    @property
    def read_address(self) -> str:
        return self.advertise_read or f"http://{self.reached}:{self.read_port}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's own signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


_SAID: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is not known",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "string_type": "must be a text",
    "bool_parsing": "must be true or false",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
}
"""The faults that the library names, in our words."""


def load_settings(home: Path) -> NodeSettings:
    """Reads the settings of the node whose home this is. Refuses HOME_MISSING, SETTINGS."""
    path = home / "node.toml"
    if not path.is_file():
        raise NotFoundError("HOME_MISSING", f"no node.toml in {home}: make one with 'bridgehead node init'")

    class _HomeSettings(NodeSettings):
        model_config = SettingsConfigDict(toml_file=path)

    try:
        settings = _HomeSettings()  # type: ignore[call-arg]  # the sources fill the fields
    except tomllib.TOMLDecodeError as error:
        raise MalformedError("SETTINGS", f"{path} is no TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        said = _SAID.get(first["type"], "cannot be that").format(**first.get("ctx", {}))
        raise MalformedError("SETTINGS", f"{path}: the setting {where} {said}") from error
    if settings.realm == "live" and settings.reflection:
        raise MalformedError("SETTINGS", f"{path}: reflection is for the demo realm only")
    if settings.reached in _EVERY_ADDRESS:
        raise MalformedError(
            "SETTINGS", f"{path}: with host {settings.host!r} expected 'advertise' to say how others reach this node"
        )
    return settings
