from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adbench_harness.api import AdbenchError, OptionError
from adbench_harness.applying import apply as applying
from adbench_harness.applying.apply import apply, maps_folder, white_of, write_maps
from adbench_harness.applying.detector import StoredDetector, load_stored


@pytest.fixture(scope="module")
def stored(trained: Any) -> StoredDetector:
    return load_stored(trained.folder, {}, "cpu")


def test_images_of_the_run_get_the_scores_that_the_run_stored(stored: StoredDetector, trained: Any) -> None:
    known = dict(zip(stored.scores.image, stored.scores.score.tolist(), strict=True))
    spread = np.subtract(*np.percentile(stored.scores.score, [75, 25]))
    paths = [trained.images / image for image in known]
    together = apply(stored, paths)
    assert together.failed == {}
    assert max(abs(together.scores[trained.images / image] - score) for image, score in known.items()) < 1e-5 * spread
    alone = apply(stored, paths[:1])
    assert abs(alone.scores[paths[0]] - known[stored.scores.image[0]]) < 1e-5 * spread


def test_however_many_are_read_at_a_time_it_is_the_same(
    stored: StoredDetector, trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [trained.images / image for image in stored.scores.image[:7]]
    once = apply(stored, paths, maps=True)
    monkeypatch.setattr(applying, "TOGETHER", 3)
    heard: list[tuple[int, int]] = []
    parts = apply(stored, paths, maps=True, progress=lambda *at: heard.append(at))
    assert heard == [(3, 7), (6, 7), (7, 7)]
    assert list(parts.scores) == list(once.scores) == paths
    np.testing.assert_allclose(list(parts.scores.values()), list(once.scores.values()), rtol=1e-6)
    np.testing.assert_allclose(np.stack(list(parts.maps.values())), np.stack(list(once.maps.values())), atol=1e-6)


def test_a_corrupt_image_is_named_and_the_others_are_scored(stored: StoredDetector, trained: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    good = trained.images / stored.scores.image[0]
    done = apply(stored, [bad, good])
    assert list(done.scores) == [good]
    assert done.failed == {bad: "not an image that can be read (8 bytes)"}
    assert apply(stored, [bad]).scores == {}


def test_maps_are_pictures_on_the_scale_of_the_run_s_own(stored: StoredDetector, trained: Any, tmp_path: Path) -> None:
    paths = [trained.images / image for image in stored.scores.image[-2:]]
    done = apply(stored, paths, maps=True)
    white, shared = white_of(stored, done)
    assert shared
    names = dict(zip(paths, ["a/one.png", "two.dcm"], strict=True))
    written = write_maps(maps_folder(tmp_path / "maps", paths), names, done, white)
    assert [str(path.relative_to(tmp_path)) for path in written.values()] == ["maps/a/one.png.map.png", "maps/two.dcm.map.png"]
    for path, target in written.items():
        expected = np.rint((done.maps[path] / white).clip(0, 1) * 255)
        np.testing.assert_array_equal(np.asarray(Image.open(target)), expected)
    bare = replace(stored, manifest=stored.manifest.model_copy(update={"files": {}}))
    assert white_of(bare, done) == (max(float(drawn.max()) for drawn in done.maps.values()), False)


def test_folders_that_can_not_take_maps(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    with pytest.raises(OptionError, match=r"lies in .*scans, where maps would be taken for images"):
        maps_folder(tmp_path / "scans" / "maps", [tmp_path / "scans"])
    (tmp_path / "file").touch()
    with pytest.raises(AdbenchError, match=r"cannot make the folder of maps .*; choose another with --maps"):
        maps_folder(tmp_path / "file" / "maps", [])
