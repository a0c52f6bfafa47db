"""Docker or podman, whichever works here, behind the few commands that both have."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COMMAND_SECONDS = 900
FREE_BYTES = 10_000_000_000


class CannotRunError(Exception):
    """What is missing here; nothing was tried."""


class CommandError(AssertionError):
    """A command that failed, with what it wrote."""


@dataclass(frozen=True)
class Engine:
    """A container engine.

    Attributes:
        name: `docker` or `podman`.
        compose: the command that reads compose files.
    """

    name: str
    compose: tuple[str, ...]

    def __call__(self, *arguments: str) -> str:
        """Runs a command of the engine; returns what it wrote to standard output."""
        return run([self.name, *arguments])

    def inspect(self, kind: str, name: str, template: str) -> str:
        """A field of an image or a container."""
        return self(kind, "inspect", "--format", template, name).strip()

    def healthy(self, container: str) -> bool:
        """Whether a container's health check passes; docker's runs by its own clock."""
        if self.name == "docker":
            return self.inspect("container", container, "{{.State.Health.Status}}") == "healthy"
        try:
            self("healthcheck", "run", container)
        except CommandError:
            return False
        return True

    def require(self, image: str) -> None:
        """Takes an image that is here, or pulls it.

        Raises:
            CannotRunError: if neither works.
        """
        try:
            self("image", "inspect", image)
        except CommandError:
            try:
                self("pull", "--quiet", image)
            except CommandError as error:
                raise CannotRunError(f"{image} is not here and cannot be pulled") from error

    def require_room(self) -> None:
        """Looks whether there is room for images and for the containers' own copies of them.

        Raises:
            CannotRunError: if there is not.
        """
        root = {"docker": "{{.DockerRootDir}}", "podman": "{{.Store.GraphRoot}}"}[self.name]
        free = shutil.disk_usage(self("info", "--format", root).strip()).free
        if free < FREE_BYTES:
            raise CannotRunError(
                f"{free / 1e9:.0f} GB of disk are free, but {FREE_BYTES / 1e9:.0f} are needed"
            )

    def require_containers(self, image: str, requirement: str) -> None:
        """Tries what building and serving need, so that a machine's lack is not taken for a fault.

        Args:
            image: with Python in it.
            requirement: a package that the image's pip is to find.

        Raises:
            CannotRunError: saying what does not work here.
        """
        probe = ("pip", "download", "--quiet", "--no-deps", "--dest", "/tmp/probe", requirement)
        try:
            self("run", "--rm", "--publish", "127.0.0.1::8000", image, *probe)
        except (CommandError, subprocess.TimeoutExpired) as error:
            reason = str(error).strip().splitlines()[-1].rpartition(f"{requirement}: ")[2]
            raise CannotRunError(
                f"a container cannot do here what building an image needs: {reason}"
            ) from error


@contextmanager
def replacing(engine: Engine, *names: str) -> Iterator[None]:
    """Builds of images within: those that had their names before are removed after it."""

    def ids() -> set[str]:
        return {one for name in names for one in engine("image", "ls", "--quiet", name).split()}

    former = ids()
    yield
    for image in former - ids():
        with suppress(CommandError):  # a container of somebody else's may still need it
            engine("image", "rm", image)


def find_engine(compose: str) -> Engine:
    """The engine that answers.

    Args:
        compose: podman's compose command, which is a program of its own.

    Raises:
        CannotRunError: if there is none.
    """
    for name in ("git", "make", "openssl"):
        if not shutil.which(name):
            raise CannotRunError(f"{name} is not installed")
    # A relative path would be looked for in each stack's folder.
    podmans = str(Path(compose).absolute())
    for name, command in (("docker", ("docker", "compose")), ("podman", (podmans,))):
        if not shutil.which(name) or not shutil.which(command[0]):
            continue
        try:
            run([name, "info"])
            run([*command, "version"])
        except (CommandError, subprocess.TimeoutExpired):
            continue
        return Engine(name, command)
    raise CannotRunError("neither docker with compose nor podman with podman-compose works here")


@dataclass(frozen=True)
class Stack:
    """The containers of a compose project.

    Attributes:
        engine: what runs them.
        project: its name.
        environment: what the compose files take from the environment.
        folder: where the compose files are.
    """

    engine: Engine
    project: str
    environment: Mapping[str, str]
    folder: Path

    def compose(self, *arguments: str) -> str:
        """Runs a command of compose."""
        command = [*self.engine.compose, "-p", self.project, *arguments]
        return run(command, self.environment, self.folder)

    def configured(self, service: str, field: str) -> str:
        """A service's field in the compose files as they are read, whatever it is within."""
        services = self.compose("config").split("\nservices:\n")[1]
        named = re.search(rf"^  {service}:\n((?:    .*\n)+)", services, re.MULTILINE)
        found = named and re.search(rf"^ +{field}: (.+)$", named[1], re.MULTILINE)
        assert found, f"{service} has no {field}"
        return found[1].strip("'\"")

    def containers(self, service: str) -> list[str]:
        """Names of a service's containers, running or not, in order."""
        labels = (f"project={self.project}", f"service={service}")
        filters = [
            part for one in labels for part in ("--filter", f"label=com.docker.compose.{one}")
        ]
        return sorted(self.engine("ps", "--all", *filters, "--format", "{{.Names}}").split())

    def python(self, container: str, program: str) -> dict[str, Any]:
        """What a program run within a container prints as JSON."""
        answer = json.loads(self.engine("exec", container, "python", "-c", program))
        assert isinstance(answer, dict)
        return answer


def run(
    command: Sequence[str], environment: Mapping[str, str] | None = None, folder: Path = ROOT
) -> str:
    """Runs a command in a folder; returns its standard output.

    Raises:
        CommandError: if it fails.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_SECONDS,
    )
    if done.returncode != 0:
        raise CommandError(f"{' '.join(command)}: {done.stderr[-2000:] or done.stdout[-2000:]}")
    return done.stdout
