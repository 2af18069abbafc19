from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from adbench_harness import registry
from adbench_harness.api import DataError, OptionError, PluginError, UnknownNameError

SPEC = """
from adbench_harness.api import DatasetSpec, hookimpl
adbench_api = {api}

@hookimpl
def register_datasets(register):
    for name in {names!r}:
        register(DatasetSpec(name=name, title=name, samples=lambda root: [], modality="", organ="", citation="", licence="",
                             source="", group_rule=""))
"""


def one(name: str, api: int = 1) -> str:
    return SPEC.format(api=api, names=[name])


def test_built_ins_come_in_by_entry_points() -> None:
    assert {plugin.name for plugin in registry.names("model")} >= {"multikd", "pca"}
    assert {plugin.name for plugin in registry.names("dataset")} >= {"mias", "mias-patches", "phantom"}
    assert [plugin.name for plugin in registry.names("protocol")] == ["adbench-v1", "esmaeili2023"]


@pytest.mark.parametrize(
    "plugin", [p for kind in registry.KINDS for p in registry.names(kind)], ids=lambda plugin: plugin.qualified
)
def test_every_installed_plugin_loads_under_its_name(plugin: registry.PluginName) -> None:
    assert registry.load_any(plugin).spec.name == plugin.name


def test_a_third_party_is_found_beside_the_built_ins(tiny: Path) -> None:
    plugin = registry.model("tiny-autoencoder")
    assert (plugin.source.distribution, plugin.source.version) == ("adbench-tiny", "1.2.3")
    assert registry.dataset("tiny-discs").spec.title == "Tiny discs"
    assert registry.protocol("tiny-protocol").spec.splits == 2


def test_listing_imports_nothing(fake_distribution: Any) -> None:
    fake_distribution(
        "loud", "1", {"loud_plugin": "raise RuntimeError('imported')"}, {"adbench.datasets": {"loud": "loud_plugin"}}
    )
    assert "loud" in [plugin.name for plugin in registry.names("dataset")]
    assert "loud_plugin" not in sys.modules


@pytest.mark.parametrize(
    "source", ["raise RuntimeError('no luck')", "import not_there", "import sys; sys.exit(3)", "syntax error"]
)
def test_a_broken_plugin_breaks_only_itself(fake_distribution: Any, source: str) -> None:
    fake_distribution("broken", "0.9", {"broken_plugin": source}, {"adbench.datasets": {"broken": "broken_plugin"}})
    with pytest.raises(PluginError, match=r"broken:broken 0\.9 failed to load.*pip uninstall broken"):
        registry.dataset("broken")
    assert registry.dataset("phantom").spec.name == "phantom"


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="'multikdd'; did you mean multikd"):
        registry.model("multikdd")
    with pytest.raises(UnknownNameError, match=r"there is: .*multikd, .*pca"):
        registry.model("zzz")


def test_two_distributions_with_one_name_must_be_told_apart(fake_distribution: Any) -> None:
    fake_distribution("shadow", "1", {"shadow_plugin": one("phantom")}, {"adbench.datasets": {"phantom": "shadow_plugin"}})
    with pytest.raises(PluginError, match="claimed by 2 distributions; say which: adbench-harness:phantom or shadow:phantom"):
        registry.dataset("phantom")
    assert registry.dataset("shadow:phantom").source.distribution == "shadow"
    assert registry.dataset("adbench-harness:phantom").spec.title.startswith("Phantom")


def test_what_a_plugin_prints_is_not_our_answer(fake_distribution: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fake_distribution("loud", "1", {"loud_one": f"print('hello')\n{one('loud')}"}, {"adbench.datasets": {"loud": "loud_one"}})
    registry.dataset("loud")
    assert (capsys.readouterr().out, registry.dataset("loud").spec.name) == ("", "loud")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (one("other"), "registers the name 'other'; entry point and spec must agree"),
        (SPEC.format(api=1, names=[]), "must register exactly one DatasetSpec .* registered 0"),
        (SPEC.format(api=1, names=["odd", "odd"]), "registered 2"),
        (one("odd", api=2), "written for API 2, this adbench has API 1; try: pip install --upgrade adbench-harness"),
        (one("odd", api=0), "try: pip install --upgrade odd"),
        (one("odd").replace("adbench_api = 1", ""), "does not state its API; add `adbench_api = 1`"),
        ("adbench_api = 1", "must register exactly one"),
        (one("odd").replace("(register):", "(wrong_name):"), "failed to load: PluginValidationError"),
        (one("odd").replace("for name", "raise SystemExit(3)\n    for name"), "failed to load: SystemExit: 3"),
        (one("odd").replace("for name", "raise ValueError('x')\n    for name"), "failed to load: ValueError: x"),
    ],
)
def test_a_plugin_that_breaks_the_rules_is_told_which(fake_distribution: Any, source: str, message: str) -> None:
    fake_distribution("odd", "1", {"odd_plugin": source}, {"adbench.datasets": {"odd": "odd_plugin"}})
    with pytest.raises(PluginError, match=message):
        registry.dataset("odd")


TAKES_A_FOLDER = """
from dataclasses import replace
from adbench_harness.api import DataError, DatasetSpec, hookimpl
adbench_api = 1

def at(path):
    {body}

SPEC = DatasetSpec("album", "Album", lambda root: [], "", "", "", "", "", "", at=at)

@hookimpl
def register_datasets(register):
    register(SPEC)
"""


@pytest.fixture
def album(fake_distribution: Any) -> Any:
    """Installs a dataset that takes a folder; its ``at`` has the given body."""

    def install(body: str = "return replace(SPEC, name='album-x', embedded=path, at=None)", distribution: str = "photos") -> None:
        module = f"{distribution}_album"
        source = TAKES_A_FOLDER.format(body=body)
        fake_distribution(distribution, "1", {module: source}, {"adbench.datasets": {"album": module}})

    return install


@pytest.mark.parametrize("name", ["album", "photos:album"])
@pytest.mark.parametrize(
    ("path", "expected"),
    [("/data/a:b", "/data/a:b"), ("~/c", "{home}/c"), ("d e", "{here}/d e"), (".", "{here}"), ("C:x", "{here}/C:x")],
)
def test_a_dataset_of_any_folder_is_given_the_absolute_path(
    album: Any, name: str, path: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    album()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    plugin = registry.dataset(f"{name}:{path}")
    assert plugin.spec.embedded == Path(expected.format(home=tmp_path / "me", here=tmp_path))
    assert (plugin.spec.name, plugin.source.qualified) == ("album-x", "photos:album")
    assert registry.dataset(name).spec.name == "album"


def test_an_installed_name_goes_before_a_path(album: Any, fake_distribution: Any) -> None:
    album()
    fake_distribution("album", "1", {"other_discs": one("discs")}, {"adbench.datasets": {"discs": "other_discs"}})
    assert registry.dataset("album:discs").spec.name == "discs"
    assert registry.dataset("album:./discs").spec.name == "album-x"


def test_two_that_take_a_folder_must_be_told_apart(album: Any) -> None:
    album()
    album(distribution="second")
    with pytest.raises(PluginError, match="claimed by 2 distributions; say which: photos:album or second:album"):
        registry.dataset("album:/x")
    assert registry.dataset("second:album:/x").source.distribution == "second"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mias:/x", "dataset mias takes no path; import it: adbench datasets import mias PATH"),
        ("mias-patches:/x", "mias-patches takes no path; import it: adbench datasets import mias PATH"),
        ("adbench-harness:phantom:/x", "dataset phantom takes no path; leave it out"),
        ("album:", "say which folder: album:/path"),
        ("album:~nobody-of-that-name/x", "nobody-of-that-name/x: "),
        ("album:\udcff", "a path must be valid UTF-8"),
    ],
)
def test_a_path_that_cannot_be_is_refused(album: Any, name: str, message: str) -> None:
    album()
    with pytest.raises(OptionError, match=message):
        registry.dataset(name)


def test_a_misspelt_name_before_a_path_is_told_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="no dataset is called 'foldr'; did you mean folder"):
        registry.dataset("foldr:/data/a long path/that/resembles/nothing")
    with pytest.raises(UnknownNameError, match="no dataset is called 'a:b:c'"):
        registry.dataset("a:b:c")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise ValueError('x')", "dataset photos:album failed to take a folder: ValueError: x"),
        ("raise SystemExit(3)", "dataset photos:album failed to take a folder: SystemExit: 3"),
        ("return None", "must give a DatasetSpec called album-… for a folder, and gave None"),
        ("return replace(SPEC, name='mias')", "called album-… for a folder, and gave 'mias'"),
    ],
)
def test_a_plugin_that_fails_to_take_a_folder_is_blamed(album: Any, body: str, message: str) -> None:
    album(body)
    with pytest.raises(PluginError, match=message):
        registry.dataset("album:/x")


def test_what_a_plugin_says_of_a_folder_is_passed_on(album: Any) -> None:
    album("raise DataError(f'{path} is not what I want')")
    with pytest.raises(DataError, match=r"^/x is not what I want$"):
        registry.dataset("album:/x")


def test_an_error_is_told_with_the_line_of_the_plugin_s_own_code(tmp_path: Path) -> None:
    own = ModuleType("package.plugin", None)
    own.__file__, own.__package__ = str(tmp_path / "package" / "plugin.py"), "package"
    code = compile("def fit():\n    raise ValueError", str(tmp_path / "package" / "base.py"), "exec")
    names: dict[str, Any] = {}
    exec(code, names)
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - it says nothing
        names["fit"]()
    assert registry.place_of(raised.value, own) == f" ({tmp_path}/package/base.py, line 2, in fit)"
    alone = ModuleType("plugin")
    alone.__file__, alone.__package__ = str(tmp_path / "plugin.py"), ""
    assert registry.place_of(raised.value, alone) == ""
    assert registry.place_of(raised.value, None) == ""
