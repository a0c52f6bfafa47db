"""The gateway's process: `python -m gateway`."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Final

from gateway.changes_feed import ChangesFeed
from gateway.cursor import Cursor
from gateway.delivery import Delivery, StoreDelivery, StowDelivery
from gateway.feed import Feed
from gateway.film_work import FilmWork
from gateway.health import serve_health
from gateway.http import Peer
from gateway.limits import limit_process
from gateway.log import complain, configure_logging, write, write_fault
from gateway.metrics import Metrics
from gateway.outcomes import StartError, TryLaterError
from gateway.pull import Puller
from gateway.qido_feed import QidoFeed
from gateway.receive import Receiver
from gateway.segmentation import Segmentation
from gateway.settings import Settings, SettingsError
from gateway.tls import client_context

_HEALTH_SECONDS: Final = 5.0


class Gateway:
    """The parts of the gateway, made of its settings.

    Args:
        settings: what the operator has set.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.metrics = settings, Metrics()
        self.stopping, self.started = Event(), Event()
        self.service = Peer(
            "service", settings.service_url, settings.max_films + 1, settings.service_key_file
        )
        self._healthy = False
        self.metrics.ready.set_function(lambda: float(self.ready()))

    def ready(self) -> bool:
        """Whether films are taken, and the service would answer."""
        return self._healthy and self.started.is_set() and not self.stopping.is_set()

    def watch(self) -> None:
        """Asks the service for its health, until the gateway stops."""
        while not self.stopping.is_set():
            try:
                until = time.monotonic() + _HEALTH_SECONDS
                self._healthy = self.service.ask("GET", "/healthz/ready", until).status == 200
            except TryLaterError:
                self._healthy = False
            self.stopping.wait(_HEALTH_SECONDS if self._healthy else 0.5)

    def work(self) -> FilmWork:
        """What is done with each film, once the service answers with a model that will do.

        Raises:
            StartError: if it will not.
        """
        settings, kinds = self.settings, self.settings.kinds
        explicit = settings.seg_syntax == "explicit"
        segmentation = Segmentation(self.service, kinds, explicit, settings.seg_orientation)
        pause, reason = 0.0, ""
        while not self.stopping.wait(pause):
            try:
                segmentation.check_model(time.monotonic() + _HEALTH_SECONDS)
                break
            except TryLaterError as error:
                if error.reason != reason:
                    write("waiting for the service", reason=error.reason)
                pause, reason = 1.0, error.reason
        return FilmWork(segmentation, self._delivery(), kinds, self.metrics)

    def feed(self) -> Feed:
        """Where films are pulled from."""
        settings = self.settings
        if settings.pull_from == "qido":
            return QidoFeed(self._dicomweb(), settings.window_days, settings.max_film_bytes)
        archive = Peer(
            "archive", settings.orthanc_url, settings.max_films + 1, settings.dicomweb_token_file
        )
        return ChangesFeed(archive, settings.max_film_bytes)

    def _delivery(self) -> Delivery:
        settings = self.settings
        if settings.deliver_to == "ae":
            tls = client_context(settings)
            return StoreDelivery(settings.ae_title, str(settings.destination), tls)
        return StowDelivery(self._dicomweb())

    def _dicomweb(self) -> Peer:
        settings = self.settings
        return Peer(
            "archive", settings.dicomweb_url, settings.max_films + 1, settings.dicomweb_token_file
        )


def run_hold(gateway: Gateway) -> None:
    """Receives until the gateway stops, and answers what is in work.

    Raises:
        StartError: if it is deaf; what is in work is sent again.
    """
    receiver = Receiver(gateway.settings, gateway.work(), gateway.metrics)
    Thread(target=receiver.serve, name="receiver", daemon=True).start()
    gateway.started.set()
    write("listening", mode="hold", port=gateway.settings.port)
    while not gateway.stopping.wait(1):
        if not receiver.alive():
            raise StartError("no connection is accepted any more: start the gateway again")
    receiver.drain()


def run_pull(gateway: Gateway) -> None:
    """Pulls until the gateway stops, and ends the films in work.

    Raises:
        Exception: what ended the pulling.
    """
    settings = gateway.settings
    cursor = Cursor(settings.cursor_file or Path())  # which is set where films are pulled
    cursor.claim()
    work = gateway.work()
    puller = Puller(
        gateway.feed(),
        cursor,
        work,
        gateway.metrics,
        settings.max_films,
        settings.tries,
        settings.poll_seconds,
    )
    faults: list[BaseException] = []

    def pull() -> None:
        try:
            puller.run()
        except BaseException as error:
            faults.append(error)
        gateway.stopping.set()

    thread = Thread(target=pull, name="pull", daemon=True)
    gateway.started.set()
    write("pulling", mode="pull", feed=settings.pull_from)
    thread.start()
    gateway.stopping.wait()
    puller.stop()
    thread.join(settings.drain_seconds)
    if faults:
        raise faults[0]


def main() -> int:
    """Runs the gateway until a signal comes.

    Returns:
        The exit code: 0 after a clean stop, 2 for a setting that cannot be used, 1 for what it
        cannot work with.
    """
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        complain(str(error))
        return 2
    limit_process(settings.memory_bytes)
    configure_logging()
    gateway = Gateway(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: gateway.stopping.set())
    run: Callable[[Gateway], None] = run_hold if settings.mode == "hold" else run_pull
    try:
        serve_health(settings.metrics_host, settings.metrics_port, gateway.metrics, gateway.ready)
        Thread(target=gateway.watch, name="watch", daemon=True).start()
        run(gateway)
    except StartError as error:
        complain(str(error))
        return 1
    except OSError as error:  # an address that is taken, a certificate, a full disk
        complain(f"{error.strerror or type(error).__name__}: see the addresses, files and disks")
        return 1
    except Exception:
        write_fault("the gateway ends")
        return 1
    write("stopped")
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # a film that was given up may still wait for a peer
