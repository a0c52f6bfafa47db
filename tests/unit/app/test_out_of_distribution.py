"""What the service tells of films that its model does not know, and of its films in general."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.logging import FIELDS_ATTRIBUTE
from app.main import create_app
from app.settings import Settings
from solo.contract.manifest import Manifest
from tests.support.batching import until
from tests.support.decoders import DecoderHere
from tests.support.engines import FakeEngine, expected_distance, fitted, manifest, write_tiny_model
from tests.support.films import flat, png
from tests.support.in_process import client, metrics_text, post

pytestmark = pytest.mark.anyio

USUAL, STRANGE = png(flat(60)), png(flat(200))  # at .47 and 1.57 times the limit


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def logged(caplog: pytest.LogCaptureFixture) -> list[Any]:
    requests = [record for record in caplog.records if record.getMessage() == "request"]
    return [image for one in requests for image in getattr(one, FIELDS_ATTRIBUTE)["images"]]


async def test_an_answer_and_its_log_line_say_how_far_the_film_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with client(FakeEngine(document=fitted())) as http:
        found = [(await post(http, film)).json()["images"][0] for film in (USUAL, STRANGE)]
    for image, grey, flagged in zip(found, (60, 200), (False, True), strict=True):
        expected = expected_distance(grey / 255)
        assert image["out_of_distribution"] == {
            "score": pytest.approx(expected, rel=1e-5),
            "flagged": flagged,
        }
        assert image["instances"]  # as they are: whoever asks decides
    assert [image["out_of_distribution"] for image in logged(caplog)] == [0.471, 1.569]


async def test_a_model_that_cannot_tell_says_null(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with client() as http:
        image = (await post(http, STRANGE)).json()["images"][0]
        exposed = (await http.get("/metrics")).text
    assert image["out_of_distribution"] is None
    assert [image["out_of_distribution"] for image in logged(caplog)] == [None]
    assert "out_of_distribution" not in exposed


@pytest.mark.parametrize("document", [manifest(), fitted()], ids=["without", "with"])
async def test_the_model_and_the_description_tell_of_it(document: Manifest) -> None:
    async with client(FakeEngine(document=document)) as http:
        model = (await http.get("/model")).json()
        schemas = (await http.get("/openapi.json")).json()["components"]["schemas"]
    assert Manifest.model_validate({k: model[k] for k in Manifest.model_fields}) == document
    assert (model["out_of_distribution"] is None) == (document == manifest())
    assert "out_of_distribution" in schemas["ImageAnswer"]["required"]
    assert schemas["OutOfDistribution"]["properties"].keys() == {"score", "flagged"}


def series(service: Any) -> dict[str, float]:
    """The samples that tell of distances; of the histogram those buckets that are not empty."""
    families = text_string_to_metric_families(metrics_text(service))
    samples = (sample for family in families for sample in family.samples)
    return {
        sample.name.removeprefix("solo_out_of_distribution_") + sample.labels.get("le", ""): value
        for sample in samples
        if sample.name.startswith("solo_out_of_distribution") and not sample.name.endswith("ed")
        if (value := sample.value) or "bucket" not in sample.name
    }


async def test_metrics_are_those_of_the_model_that_answers(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "tiny.onnx", manifest())
    app = create_app(Settings(model=path, provider="cpu"), None, DecoderHere())
    service = app.state.service
    transport = httpx.ASGITransport(app)

    async def replace(document: Manifest) -> None:
        path.unlink()
        write_tiny_model(path, document)
        service.segmenter.reload()
        await until(lambda: service.engine.manifest == document)

    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as http,
    ):
        await until(lambda: service.lifecycle.ready)
        assert (await post(http, STRANGE)).status_code == 200
        assert series(service) == {}

        await replace(fitted(0.4))
        assert series(service) == {
            "training_median": 0.4,
            "total": 0,
            "score_count": 0,
            "score_sum": 0,
        }
        for film in (USUAL, USUAL, STRANGE):
            assert (await post(http, film)).status_code == 200
        found = series(service)
        assert found["score_sum"] == pytest.approx(2 * (60 + 60 + 200) / 255, rel=1e-4)
        counts = {"score_count": 3, "total": 1, "score_bucket1.0": 2, "score_bucket+Inf": 3}
        assert counts.items() <= found.items()

        await replace(fitted(0.7))
        assert series(service) == {**found, "training_median": 0.7}
        await replace(manifest(version="2"))
        assert series(service) == {}


@pytest.mark.parametrize("grey", [13, 26, 50, 90, 127])
async def test_a_median_can_be_read_from_the_buckets(grey: int) -> None:
    async with client(FakeEngine(document=fitted())) as http:
        await post(http, png(flat(grey)))
        lines = (await http.get("/metrics")).text
    (histogram,) = (
        family
        for family in text_string_to_metric_families(lines)
        if family.name == "solo_out_of_distribution_score"
    )
    bounds = [
        (float(sample.labels["le"]), sample.value)
        for sample in histogram.samples
        if sample.name.endswith("_bucket")
    ]
    above = min(bound for bound, count in bounds if count)
    below = max(bound for bound, count in bounds if not count)
    assert below < expected_distance(grey / 255) <= above < 1.3 * below
