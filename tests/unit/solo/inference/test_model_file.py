"""Files of models: the bytes that are opened are those that were checked, and signed if asked."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import onnx
import onnxruntime
import pytest
from onnx.external_data_helper import set_external_data

from solo import Segmenter
from solo.inference import precision as precision_module
from solo.inference.engine import ModelError
from solo.inference.model_file import ModelFile
from solo.inference.onnx_engine import OnnxEngine
from solo.inference.precision import Precision, open_engine
from tests.support.engines import FakeEngine, manifest, write_tiny_model
from tests.support.signing import new_key, sign


class Signer:
    """Writes tiny models and signs them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.public = new_key(folder / "key")

    def model(self, name: str = "tiny.onnx", *, signed: bool = True, **changes: object) -> Path:
        path = write_tiny_model(self.folder / name, manifest(**changes))
        if signed:
            sign(path, self.folder / "key")
        return path


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("no ssh-keygen here")
    return Signer(tmp_path)


def test_a_signed_model_keeps_its_bytes_and_hash(signer: Signer) -> None:
    path = signer.model(signed=False)
    before = path.read_bytes()
    sign(path, signer.folder / "key")
    file = ModelFile.read(path, signer.public)
    assert path.read_bytes() == before
    assert file.sha256 == hashlib.sha256(before).hexdigest()


@pytest.mark.parametrize("precision", ["auto", "int8"])
def test_a_variant_has_to_be_signed_too(
    signer: Signer, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision_module, "has_byte_products", lambda: True)
    path = signer.model()
    of_file = hashlib.sha256(path.read_bytes()).hexdigest()
    changes = {"precision": "int8", "float32_sha256": of_file}
    variant = signer.model("tiny.int8.onnx", signed=False, **changes)
    with pytest.raises(ModelError, match=r"tiny\.int8\.onnx\.sig cannot be read"):
        open_engine(path, "cpu", 1, precision, cores=1, key=signer.public)
    assert open_engine(path, "cpu", 1, "float32", cores=1, key=signer.public)
    sign(variant, signer.folder / "key")
    opened = open_engine(path, "cpu", 1, precision, cores=1, key=signer.public)
    assert opened.manifest.precision == "int8"


def test_the_bytes_that_are_opened_are_those_that_were_checked(signer: Signer) -> None:
    """Who writes between the check and the opening, or before a session is opened anew."""
    path = signer.model()
    signed = path.read_bytes()
    file = ModelFile.read(path, signer.public)
    signer.model(signed=False, version="2")
    with pytest.raises(ModelError, match="is another file by now"):
        OnnxEngine(file, "cpu", 1, cores=1)
    path.write_bytes(signed)
    engine = OnnxEngine(file, "cpu", 1, cores=1)
    signer.model(signed=False, version="2")
    with pytest.raises(ModelError, match="is another file by now"):
        engine.reopen()
    engine.warm_up()  # the session that it has is still there
    path.write_bytes(signed)
    engine.reopen()


def test_the_library_asks_for_a_signature_where_it_is_told_to(signer: Signer) -> None:
    path = signer.model(signed=False)
    with Segmenter(path, cores=1) as segmenter:
        assert segmenter.identity.name == "tiny"
    with pytest.raises(ModelError, match="has to be signed"):
        Segmenter(path, cores=1, model_key=signer.public)
    sign(path, signer.folder / "key")
    with Segmenter(path, cores=1, model_key=str(signer.public)) as segmenter:
        assert segmenter.identity.name == "tiny"
    with pytest.raises(ValueError, match="model_key is for a file"):
        Segmenter(FakeEngine(), model_key=signer.public)


def weights_apart(path: Path, location: str, constant: str = "factors") -> None:
    """Moves a constant of a model into a file of its own, whose path the model tells."""
    model = onnx.load(path)
    (tensor,) = (one for one in model.graph.initializer if one.name == constant)
    (path.parent / "w.bin").write_bytes(tensor.raw_data)
    set_external_data(tensor, location)
    tensor.ClearField("raw_data")
    onnx.save(model, path)


@pytest.mark.parametrize("location", ["w.bin", "./w.bin", "../{folder}/w.bin", "{absolute}/w.bin"])
def test_weights_in_another_file_are_refused(
    tmp_path: Path, location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are in no hash: whoever could write them would decide what a signed model does."""
    path = write_tiny_model(tmp_path / "tiny.onnx", manifest())
    where = location.format(folder=tmp_path.name, absolute=tmp_path)
    weights_apart(path, where)
    if location == "w.bin":
        onnxruntime.InferenceSession(path)  # would take them
    for folder in (tmp_path, Path("/")):
        monkeypatch.chdir(folder)
        with pytest.raises(ModelError, match="has weights in another file"):
            ModelFile.read(path)


@pytest.mark.parametrize(("constant", "location"), [("canvas_axes", "w.bin"), ("factors", "")])
def test_a_constant_in_another_file_that_is_needed_sooner_is_refused_alike(
    tmp_path: Path, constant: str, location: str
) -> None:
    path = write_tiny_model(tmp_path / "tiny.onnx", manifest())
    weights_apart(path, location, constant)
    with pytest.raises(ModelError, match="has weights in another file"):
        ModelFile.read(path)
