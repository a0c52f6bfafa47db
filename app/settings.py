"""Settings of the service: the only reader of the environment."""

from __future__ import annotations

import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, HttpUrl, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from solo.async_segmenter import MAX_PIXELS
from solo.inference.cores import usable_cores
from solo.inference.precision import Precision
from solo.inference.providers import Provider

PREFIX = "SOLO_"
_GATEWAYS = "SOLO_GATEWAY_"  # of the DICOM gateway, a process of its own

_HOST_NAMES = r"^\s*[\w.-]+(:\d+)?(\s*,\s*[\w.-]+(:\d+)?)*\s*$"
# Of a Service named `solo` or `solo-xray`, to every container of its namespace.
_KUBERNETES = re.compile(r"_SERVICE_(HOST|PORT)(_|$)|_PORT_\d+_(TCP|UDP|SCTP)(_|$)")


class SettingsError(ValueError):
    """A setting that cannot be used; the message is one sentence for the operator."""


class Settings(BaseSettings):
    """The service's settings, one environment variable each: `SOLO_` and the name in capitals.

    Attributes:
        host: address to listen on.
        port: TCP port to listen on.
        host_names: names, with commas between, by which clients call this machine, besides its
            own, `localhost` and addresses; a request for another name is refused.
        model: ONNX file written by `python -m export`.
        model_key: the public key that has to have signed the model; None serves any.
        keys_file: the keys that are accepted (`app.keys`); None lets everybody in.
        provider: what computes; `auto` takes CUDA where it really activates, else the CPU.
        precision: `auto` takes a variant of the model where there is one that is faster: float16
            on GPUs, int8 on processors.
        cores: processor cores that decoding, masks and, on a CPU, the model may use.
        cuda_graphs: whether each batch size is recorded as a CUDA graph and replayed.
        engine_cache: folder in which TensorRT keeps the engines that it built; None keeps none.
        max_batch: most images that share one run of the model; every size up to it is warmed.
        queue_limit: most images that may wait for the model, those being decoded included.
        deadline_seconds: longest time from a request's last byte to its answer; a client may
            ask for less with `X-Request-Timeout-Seconds`.
        key_rate: images a second that each key may send; None counts none of them.
        key_burst: images that a key may send at once, when it has not asked for a while.
        trusted_proxies: addresses and networks, with commas between them, of load balancers: they
            alone are believed when they say for whom they ask, by X-Forwarded-For.
        max_body_bytes: longest request body.
        max_bodies_bytes: most bytes of all bodies that are in memory at once.
        client_seconds: longest wait for a request's headers, for more of its body, and for a client
            that does not take its answer.
        max_pixels: most pixels (rows x columns) of one image.
        decode_workers: processes that decode files, one file each at a time; None for one a core.
        decode_seconds: longest time for decoding one file.
        drain_seconds: longest time that a stopping service gives to the work at hand.
        lame_duck_seconds: for so long a stopping service says that it is not ready and still takes
            requests, since a load balancer needs a moment to notice.
        traces_endpoint: where OpenTelemetry's traces go, by OTLP over HTTP; None makes none.
        reload_on_hangup: whether SIGHUP replaces the model by what lies at `model` then.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535)] = 8000
    host_names: Annotated[str | None, Field(pattern=_HOST_NAMES)] = None
    model: Path = Path("model/zoo/cxr-lungs.onnx")
    model_key: Path | None = None
    keys_file: Path | None = None
    provider: Provider = "auto"
    precision: Precision = "auto"
    cores: Annotated[int, Field(ge=1, le=1024)] = Field(default_factory=usable_cores)
    cuda_graphs: bool = False
    engine_cache: Path | None = None
    max_batch: Annotated[int, Field(ge=1, le=64)] = 8
    queue_limit: Annotated[int, Field(ge=1, le=10_000)] = 64
    deadline_seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0
    key_rate: Annotated[float | None, Field(gt=0, le=100_000)] = None
    key_burst: Annotated[int, Field(ge=1, le=100_000)] = 10
    trusted_proxies: str | None = None
    max_body_bytes: Annotated[int, Field(ge=1024, le=4 * 2**30)] = 128 * 2**20
    max_bodies_bytes: Annotated[int, Field(ge=1024, le=2**40)] = 512 * 2**20
    client_seconds: Annotated[float, Field(gt=0, le=600)] = 15.0
    max_pixels: Annotated[int, Field(ge=1, le=2**30)] = MAX_PIXELS
    decode_workers: Annotated[int | None, Field(ge=1, le=256)] = None
    decode_seconds: Annotated[float, Field(gt=0, le=3600)] = 15.0
    drain_seconds: Annotated[float, Field(ge=0, le=600)] = 20.0
    lame_duck_seconds: Annotated[float, Field(ge=0, le=600)] = 0.0
    reload_on_hangup: bool = False
    traces_endpoint: HttpUrl | None = None

    @field_validator("trusted_proxies")
    @classmethod
    def _check_networks(cls, value: str | None) -> str | None:
        for item in (value or "127.0.0.1").split(","):
            ip_network(item.strip())  # whose sentences name the item
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.max_bodies_bytes < self.max_body_bytes:
            raise ValueError(
                f"SOLO_MAX_BODIES_BYTES={self.max_bodies_bytes} is less than "
                f"SOLO_MAX_BODY_BYTES={self.max_body_bytes}: no such body could come in"
            )
        if self.key_rate is not None and self.keys_file is None:
            raise ValueError("SOLO_KEY_RATE needs SOLO_KEYS_FILE: without keys it limits nobody")
        if self.cuda_graphs and self.provider != "cuda":
            # TensorRT records only what runs on it as a whole, and float32 sums do not.
            raise ValueError("SOLO_CUDA_GRAPHS=true needs SOLO_PROVIDER=cuda")
        if self.engine_cache is not None and self.provider != "tensorrt":
            raise ValueError("SOLO_ENGINE_CACHE needs SOLO_PROVIDER=tensorrt")
        return self

    @classmethod
    def from_environment(cls) -> Self:
        """Reads the settings.

        Raises:
            SettingsError: for a value that is empty or out of bounds, and for a `SOLO_` variable
                that is not known, since a misspelt limit would otherwise be no limit.
        """
        known = {f"{PREFIX}{name.upper()}" for name in cls.model_fields}
        given = {
            name: text
            for name, text in os.environ.items()
            if name.upper().startswith(PREFIX) and not name.upper().startswith(_GATEWAYS)
        }
        if links := sorted(filter(_KUBERNETES.search, given)) or [
            name for name, text in given.items() if text.startswith("tcp://")
        ]:
            raise SettingsError(
                f"{', '.join(links)}: these come from Kubernetes, for a Service whose name begins "
                "with `solo`, and are no settings: put `enableServiceLinks: false` into the pod's "
                "spec, or give the Service another name"
            )
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
    if not fault["loc"]:  # of several settings together
        return str(fault["ctx"]["error"])
    said = f"{PREFIX}{str(fault['loc'][0]).upper()}={fault['input']}: "
    if fault["type"] == "string_pattern_mismatch":
        return f"{said}host names alone, with commas between, such as xray.example.org,xray"
    return said + fault["msg"]
