"""Settings of the gateway: the only reader of the environment."""

from __future__ import annotations

import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import (
    Field,
    HttpUrl,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.token_file import read_token

PREFIX: Final = "SOLO_GATEWAY_"
KINDS: Final = ("seg", "gsps", "sc")
_AE_TITLE = r"[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?"  # PS3.5 6.2: 16 characters, no backslash
_PEER = re.compile(r"([^@]*)@(\[[0-9a-fA-F:.]+\]|[\w.:-]+):(\d{1,5})", re.ASCII)
_FILES = ("service_key_file", "dicomweb_token_file", "tls_certificate", "tls_key", "tls_client_ca")
_ADDRESSES = ("service_url", "dicomweb_url", "orthanc_url")
# Their values may be secrets that were written into the wrong place.
_NEVER_SHOWN = (*_FILES, *_ADDRESSES)


class SettingsError(ValueError):
    """A setting that cannot be used; the message is one sentence for the operator."""


class Settings(BaseSettings):
    """The gateway's settings, one environment variable each: `SOLO_GATEWAY_` and the name.

    Attributes:
        mode: `hold` takes films by C-STORE and answers when their results are stored; `pull` asks
            the archive for new films.
        service_url: where `POST /segment` is.
        service_key_file: a file with a key for it; None sends none.
        ae_title: AE title of the gateway, called by senders and calling the destination.
        host: address to listen on for DICOM.
        port: TCP port to listen on for DICOM.
        calling_ae_titles: with commas between, who may associate; None lets everybody.
        sources: addresses and networks, with commas between, that may connect; None lets all.
        tls_certificate: PEM file; with it only TLS is spoken.
        tls_key: PEM file of its key.
        tls_client_ca: PEM file of who signs the certificates that clients need; None asks for none.
        max_associations: most associations at once.
        max_films: most films in work at once; one more is answered 0xA700.
        max_film_bytes: longest data set.
        memory_bytes: address space of the process (RLIMIT_AS).
        hold_seconds: longest time from a film's last byte to its answer.
        associate_seconds: longest wait for an association request or a TLS handshake.
        idle_seconds: longest silence of an association, and longest time for one PDU.
        max_pdu: longest PDU that is announced to peers, in bytes.
        deliver_to: `dicomweb` stores results by STOW-RS, `ae` by C-STORE.
        dicomweb_url: root of the archive's DICOMweb services.
        dicomweb_token_file: a file with a bearer token for it; None sends none.
        destination: AE@host:port that takes results by C-STORE.
        destination_tls: whether it speaks TLS; `tls_certificate` is shown to it if it asks.
        results: which objects are made: seg, gsps, sc, with commas between.
        seg_syntax: transfer syntax of a SEG; some viewers read none that is deflated.
        seg_orientation: beyond the standard, an orientation for viewers that need one (OHIF).
        pull_from: `changes` is Orthanc's change feed, `qido` any archive's study search.
        orthanc_url: root of Orthanc's own interface, for `changes`.
        cursor_file: the gateway's only state: how far the archive has been read.
        window_days: how many days before the cursor studies are looked at again, for `qido`.
        poll_seconds: time between two questions for new films.
        tries: how often a film that fails by itself is tried in pull mode, before it is passed.
        drain_seconds: longest time that a stopping gateway gives to films in work.
        metrics_host: address for metrics and health.
        metrics_port: TCP port for metrics and health.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    mode: Literal["hold", "pull"] = "hold"
    service_url: HttpUrl = HttpUrl("http://127.0.0.1:8000")
    service_key_file: Path | None = None
    ae_title: str = "SOLO"
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535)] = 11_112
    calling_ae_titles: str | None = None
    sources: str | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    max_associations: Annotated[int, Field(ge=1, le=1000)] = 25
    max_films: Annotated[int, Field(ge=1, le=256)] = 4
    max_film_bytes: Annotated[int, Field(ge=1024, le=2 * 2**30)] = 128 * 2**20
    memory_bytes: Annotated[int, Field(ge=512 * 2**20, le=2**40)] = 2 * 2**30
    hold_seconds: Annotated[float, Field(gt=0, le=600)] = 8.0
    associate_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
    idle_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    max_pdu: Annotated[int, Field(ge=4096, le=2**20)] = 131_072
    deliver_to: Literal["dicomweb", "ae"] = "dicomweb"
    dicomweb_url: HttpUrl | None = None
    dicomweb_token_file: Path | None = None
    destination: str | None = None
    destination_tls: bool = False
    results: str = "seg"
    seg_syntax: Literal["deflated", "explicit"] = "deflated"
    seg_orientation: bool = False
    pull_from: Literal["changes", "qido"] = "changes"
    orthanc_url: HttpUrl | None = None
    cursor_file: Path | None = None
    window_days: Annotated[int, Field(ge=0, le=365)] = 2
    poll_seconds: Annotated[float, Field(gt=0, le=3600)] = 1.0
    tries: Annotated[int, Field(ge=1, le=100)] = 5
    drain_seconds: Annotated[float, Field(ge=0, le=600)] = 20.0
    metrics_host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    metrics_port: Annotated[int, Field(ge=1, le=65_535)] = 9112

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of result objects, in the order in which the service answers them."""
        wanted = {one.strip() for one in self.results.split(",")}
        return tuple(kind for kind in KINDS if kind in wanted)

    @property
    def networks(self) -> tuple[str, ...]:
        """Addresses and networks that may connect; empty for all."""
        return tuple(one.strip() for one in self.sources.split(",")) if self.sources else ()

    @property
    def callers(self) -> list[str]:
        """AE titles that may associate; empty for all."""
        titles = self.calling_ae_titles
        return [one.strip() for one in titles.split(",")] if titles else []

    @field_validator("ae_title", "calling_ae_titles", "destination")
    @classmethod
    def _check_titles(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        titles = value.split(",") if info.field_name == "calling_ae_titles" else [value]
        if info.field_name == "destination":
            found = _PEER.fullmatch(value)
            if found is None or not 1 <= int(found[3]) <= 65_535:
                raise ValueError("write it as AE@host:port, such as PACS@10.0.0.5:104")
            titles = [found[1]]
        if not all(re.fullmatch(_AE_TITLE, one.strip(" ")) for one in titles):
            raise ValueError("an AE title has 1 to 16 signs of ASCII, and no backslash")
        return value

    @field_validator(*_FILES)
    @classmethod
    def _check_files(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None:
            try:
                value.read_bytes()
            except OSError as error:
                raise ValueError(f"the file cannot be read: {error.strerror}") from error
            if info.field_name in ("service_key_file", "dicomweb_token_file"):
                read_token(value)
        return value

    @field_validator(*_ADDRESSES)
    @classmethod
    def _check_addresses(cls, value: HttpUrl | None) -> HttpUrl | None:
        if value is not None and (value.username or value.password or value.query):
            raise ValueError(
                "write it without a name, a password and a query, which are not sent; a key goes "
                "into a file, see the settings that end with _FILE"
            )
        return value

    @field_validator("sources")
    @classmethod
    def _check_networks(cls, value: str | None) -> str | None:
        for item in (value or "127.0.0.1").split(","):
            ip_network(item.strip())
        return value

    @field_validator("results")
    @classmethod
    def _check_results(cls, value: str) -> str:
        given = [one.strip() for one in value.split(",")]
        if unknown := sorted({*given} - {*KINDS}):
            raise ValueError(f"{', '.join(unknown)!r} is none of {', '.join(KINDS)}")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        needed = {
            "dicomweb_url": self.deliver_to == "dicomweb"
            or (self.mode == "pull" and self.pull_from == "qido"),
            "destination": self.deliver_to == "ae",
            "orthanc_url": self.mode == "pull" and self.pull_from == "changes",
            "cursor_file": self.mode == "pull",
            "tls_key": self.tls_certificate is not None,
            "tls_certificate": self.tls_key is not None or self.tls_client_ca is not None,
        }
        missing = [name for name, need in needed.items() if need and getattr(self, name) is None]
        if missing:
            names = ", ".join(f"{PREFIX}{name.upper()}" for name in missing)
            raise ValueError(f"{names} must be set, with what else is set")
        return self

    @classmethod
    def from_environment(cls) -> Self:
        """Reads the settings.

        Raises:
            SettingsError: for a value that is empty or out of bounds, and for a variable with the
                prefix that is not known, since a misspelt limit would otherwise be no limit.
        """
        known = {f"{PREFIX}{name.upper()}" for name in cls.model_fields}
        given = {name: text for name, text in os.environ.items() if name.upper().startswith(PREFIX)}
        if empty := sorted(name for name, text in given.items() if not text.strip()):
            raise SettingsError(f"{', '.join(empty)} is empty: give it a value or unset it")
        if unknown := sorted(name for name in given if name.upper() not in known):
            raise SettingsError(
                f"{', '.join(unknown)}: no such setting; there are {', '.join(sorted(known))}"
            )
        try:
            return cls()
        except ValidationError as error:
            raise SettingsError("; ".join(map(_sentence, error.errors()))) from error


def _sentence(fault: ErrorDetails) -> str:
    if not fault["loc"]:
        return str(fault["ctx"]["error"])
    name = str(fault["loc"][0])
    value = "" if name in _NEVER_SHOWN else f"={fault['input']}"
    return f"{PREFIX}{name.upper()}{value}: {fault['msg'].removeprefix('Value error, ')}"
