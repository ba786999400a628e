import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_eyes.boxes import as_boxes
from crystal_eyes.detector import fit_calibration
from crystal_eyes.detector.calibration import Calibration
from crystal_eyes.detector.defaults import CONFIDENCE, UNCALIBRATED_CONFIDENCE
from crystal_eyes.detector.fit_calibration import MIN_BOXES, fit, store
from crystal_eyes.detector.runtime import FILE, HeadDetector
from crystal_eyes.detector.training.cutouts import cast_cutouts
from crystal_eyes.detector.training.scenes import compose_scenes
from crystal_eyes.errors import UserError
from crystal_eyes.evaluation.detection import PictureDetections
from tests.runs import HEAD_DETECTOR

calibrations = st.builds(Calibration, st.floats(0.5, 5), st.floats(-3, 3))


@settings(deadline=None)
@given(calibrations, st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_probabilities_rise_with_the_outputs_and_lead_back_to_them(calibration, outputs):
    found = calibration(np.sort(np.array(outputs)))
    assert found.dtype == np.float32 and (found >= 0).all() and (found <= 1).all() and (np.diff(found) >= 0).all()
    assert calibration(np.array([calibration.inverse(0.3)]))[0] == pytest.approx(0.3, abs=1e-3)
    read = Calibration.parse(str(calibration))
    np.testing.assert_allclose(read(np.array(outputs)), calibration(np.array(outputs)), atol=1e-3)


@pytest.mark.parametrize("text", ["", "1", "1 2 3", "one two", "0 1", "-1 0", "nan 0", "1 nan", "inf 0"])
def test_what_is_no_calibration_is_refused(text):
    with pytest.raises(ValueError):
        Calibration.parse(text)


def boxes_found(outputs: np.ndarray, heads: np.ndarray) -> list[PictureDetections]:
    """A picture for each box: outputs of the network, and which of the boxes are heads."""
    box, none = as_boxes([[0, 0, 9, 9]]), as_boxes([])
    return [PictureDetections(box if head else none, box, np.array([output])) for output, head in zip(outputs, heads)]


def test_the_fit_finds_how_often_boxes_are_heads():
    rng, true = np.random.default_rng(0), Calibration(0.6, -1.0)
    outputs = rng.uniform(0.05, 1, 20_000)
    found = fit([boxes_found(outputs, rng.random(20_000) < true(outputs))])
    assert found.slope == pytest.approx(0.6, abs=0.05) and found.intercept == pytest.approx(-1, abs=0.05)


def test_a_small_group_of_pictures_weighs_as_much_as_a_large_one():
    few, many = (boxes_found(np.full(count, 0.5), np.arange(count) % 10 < heads) for count, heads in ((40, 9), (4000, 1)))
    spread = [boxes_found(np.array([0.06, 0.99]), np.array([False, True]))] * 2  # a slope above 0
    found = fit([few + spread[0], many + spread[1]])
    assert found(np.array([0.5]))[0] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("count", "heads"), [(0, 0), (100, 0), (100, 1), (2 * MIN_BOXES - 1, 0.5)])
def test_too_few_boxes_are_refused(count, heads):
    with pytest.raises(ValueError, match="too few"):
        fit([boxes_found(np.linspace(0.1, 0.9, count), np.linspace(0, 1, count) < heads)])


def test_a_detector_that_is_sure_of_what_is_no_head_is_refused():
    with pytest.raises(ValueError, match="less often"):
        fit([boxes_found(np.linspace(0.1, 0.9, 100), np.linspace(0.1, 0.9, 100) < 0.5)])


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    return next(iter(compose_scenes(1, "scene", [4, 4], cast_cutouts(2, characters=30))))[1]


def written(folder, **entries: str):
    """The released detector without its calibration, with other entries."""
    model = onnx.load(HEAD_DETECTOR / FILE)
    kept = {one.key: one.value for one in model.metadata_props if one.key != "calibration"}
    onnx.helper.set_model_props(model, kept | entries)
    onnx.save(model, folder / FILE)
    return folder / FILE


def test_a_calibrated_detector_finds_the_same_boxes_with_probabilities(tmp_path, scene):
    path = written(tmp_path)
    plain = HeadDetector(path, threads=1)
    boxes, outputs = plain.detect(scene, 0.05)
    calibration = Calibration(0.7, -0.8)
    store(path, Calibration(3, 3))
    store(path, calibration)
    calibrated = HeadDetector(path, threads=1)
    assert (plain.confidence, calibrated.confidence) == (UNCALIBRATED_CONFIDENCE, CONFIDENCE)
    assert calibrated.image_size == plain.image_size and [one.name for one in tmp_path.iterdir()] == [FILE]
    found, probabilities = calibrated.detect(scene, float(calibration(np.array([0.05]))[0]))
    np.testing.assert_array_equal(found, boxes)
    np.testing.assert_allclose(probabilities, calibration(outputs), atol=1e-3)
    assert len(outputs) and (calibrated.detect(scene)[1] > CONFIDENCE).all()
    assert (plain.detect(scene)[1] > UNCALIBRATED_CONFIDENCE).all()
    assert len(plain.detect(scene)[1]) == (outputs > UNCALIBRATED_CONFIDENCE).sum()


def test_a_detector_with_a_damaged_calibration_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"detector .* can't be used: its calibration '1 x' is not valid"):
        HeadDetector(written(tmp_path, calibration="1 x"))


def test_a_full_disk_leaves_the_detector_as_it_was(tmp_path, monkeypatch):
    path = written(tmp_path)
    before = path.read_bytes()

    def full(model, incomplete):
        incomplete.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fit_calibration.onnx, "save", full)
    with pytest.raises(OSError):
        store(path, Calibration(1, 0))
    assert path.read_bytes() == before and [one.name for one in tmp_path.iterdir()] == [FILE]
