"""What every kind of problem says, word for word."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tests.support.films import png

NOISE = png(np.random.default_rng(1).integers(0, 256, (64, 64), np.uint8))
"""A film of some 4 kB, of which the limit on all bodies in the tests lets one in."""


class Problem(NamedTuple):
    """What is expected of a problem, and of the headers that clients act on."""

    status: int
    title: str
    detail: str
    headers: dict[str, str] = {}  # noqa: RUF012 (never changed)


EXPECTED = {
    "malformed": Problem(400, "The file or request is malformed",
        "the 5 bytes are none of DICOM, PNG, JPEG and TIFF by their signature"),
    "empty": Problem(400, "There is nothing to segment",
        "the request has no body: send a file as it is, as in `curl --data-binary @FILE`, or "
        "several as a form, as in `curl -F files=@FILE`"),
    "truncated": Problem(400, "The file is incomplete",
        "the PNG ends within a chunk: part of the file is missing"),
    "decoder-crashed": Problem(400, "The file broke its decoder",
        "the file cannot be decoded: its decoder broke on it"),
    "unauthorized": Problem(401, "A key is needed",
        "this service asks for a key, as in 'Authorization: Bearer KEY'",
        {"www-authenticate": 'Bearer realm="solo-xray"'}),
    "not-found": Problem(404, "Not Found",
        "there is nothing at this path: send a film with POST to /segment, as in `curl "
        "--data-binary @FILE`; /docs describes it all"),
    "method-not-allowed": Problem(405, "Method Not Allowed",
        "this path takes POST alone: send a film with POST to /segment, as in `curl --data-binary "
        "@FILE`; /docs describes it all", {"allow": "POST"}),
    "cross-site": Problem(403, "Another site's page asks",
        "a page of another site sends this: ask from the service's own page, or from a program"),
    "misdirected": Problem(421, "The host is not this service",
        "this service does not go by the host name of this request: ask by its address, or let its "
        "operator add the name to SOLO_HOST_NAMES"),
    "too-slow": Problem(408, "The request came too slowly",
        "5 bytes came in 0.05 s; a body that is not complete has to bring 3,277",
        {"connection": "close"}),
    "body-too-large": Problem(413, "The request has too many bytes",
        "the body has 5,001 bytes; at most 5,000 may be"),
    "image-too-large": Problem(413, "The image has too many pixels",
        "the image is 40000 x 40000 = 1,600,000,000 pixels; at most 1,000,000 are accepted"),
    "decoder-memory": Problem(413, "The image takes too much memory",
        "decoding the file takes more memory than one file may have"),
    "unsupported-media-type": Problem(415, "The media type is not supported",
        "the bytes are none of DICOM, PNG, JPEG and TIFF by their signature, and media type "
        "text/plain is not supported; supported are application/dicom, image/png, image/jpeg, "
        "image/tiff, application/octet-stream, and multipart/form-data of these"),
    "unsupported-encoding": Problem(415, "The encoding of the pixels is not supported",
        "JPEG SOF3 with 8 bits is not supported: only baseline, extended and progressive JPEG "
        "with 8 bits are"),
    "not-segmentable": Problem(422, "The file is not a radiograph that can be segmented",
        "CT Image Storage with modality CT is not a projection radiograph: expected computed or "
        "digital radiography, mammography, intra-oral, angiographic, fluoroscopic or portal X-ray, "
        "or a secondary capture of one"),
    "no-dicom-result": Problem(422, "There can be no DICOM object of this result",
        "a DICOM object refers to a DICOM film, and this one is PNG: send the DICOM file itself, "
        "or ask for JSON"),
    "nothing-found": Problem(422, "Nothing was found, and there is no object of it",
        "the model found nothing in the film, and a DICOM object shows what was found: it was "
        "segmented, and there is nothing to store"),
    "bad-annotations": Problem(422, "The annotations cannot be used for the film",
        "the annotations are of a film of 7 x 20 pixels, and this one has 20 x 20"),
    "no-codes": Problem(422, "A class of the model has no codes",
        "the model's file has no codes for its class 'bright', and a DICOM SEG names what it shows "
        "by codes: export the model with them in `class_codes`"),
    "invalid-parameter": Problem(422, "A parameter is out of range",
        "score_threshold is 7: Input should be less than or equal to 1"),
    "queue-full": Problem(429, "The queue is full",
        "1 images are waiting, and at most 1 may", {"retry-after": "1"}),
    "too-busy": Problem(429, "The deadline cannot be met",
        "an answer would take about 0.012 s with 0 images ahead, but 0.001 s are left",
        {"retry-after": "1"}),
    "bodies-full": Problem(429, "Too many requests are being received",
        f"{len(NOISE):,} bytes of requests are in memory, and at most 5,000 may be",
        {"retry-after": "1"}),
    "key-rate": Problem(429, "The key asks too often",
        "this key may send 0.01 images a second, and 1 at once, and has sent more",
        {"retry-after": "100"}),
    "head-too-large": Problem(431, "The headers have too many bytes",
        "the request has more than 65,536 bytes of headers", {"connection": "close"}),
    "not-implemented": Problem(501, "This is not implemented",
        "the service is no proxy, and opens no tunnel", {"connection": "close"}),
    "internal": Problem(500, "The service failed", "the service failed on this image"),
    "starting": Problem(503, "The service is starting", "the model is being warmed up",
        {"retry-after": "5"}),
    "draining": Problem(503, "The service is stopping",
        "the service is stopping and takes no new requests", {"retry-after": "5"}),
    "model-failed": Problem(503, "The model gave no answer", "the model failed on this image",
        {"retry-after": "5"}),
    "decoder-lost": Problem(503, "The decoder was stopped",
        "the decoder was stopped while it had this file; send it again", {"retry-after": "1"}),
    "deadline": Problem(504, "The deadline has passed",
        "the image was not answered before the deadline"),
}  # fmt: skip
