from __future__ import annotations

import pytest

from adbench_leaderboard.names import breakable, printable, slug, web_address


@pytest.mark.parametrize("name", ["pca", "mias-patches", "f_anogan", "multikd-phantom-03bf1902c5c48b33"])
def test_a_plain_name_is_its_own_slug(name: str) -> None:
    assert slug(name) == name


@pytest.mark.parametrize(
    "name", ["", "../../etc/passwd", "PCA", "a b", "a/b", "a.b", "con", "folder:/x y", "\u202eabc", "x" * 300, "\ud800"]
)
def test_any_other_name_becomes_a_safe_file_name(name: str) -> None:
    made = slug(name)
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")
    assert len(made) < 80
    assert not made.startswith((".", "-"))
    assert slug(made) != made  # nothing else can be called so


def test_different_names_have_different_slugs() -> None:
    names = ["a b", "a-b", "a/b", "A B", "a.b", "a  b"]
    assert len({slug(name) for name in names}) == len(names)


@pytest.mark.parametrize("text", ["http://example.org", "https://example.org/a?b=c#d"])
def test_web_addresses_are_kept(text: str) -> None:
    assert web_address(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "javascript:alert(1)",
        "data:text/html,x",
        "//example.org",
        "https:",
        "https://a b",
        "https://x\n",
        "http://[",
        "file:///x",
    ],
)
def test_other_addresses_are_not(text: str) -> None:
    assert web_address(text) == ""


def test_printable_keeps_scripts_and_spells_out_controls() -> None:
    assert printable("\u0645\u06cc\u200c\u0631\n") == "\u0645\u06cc\u200c\u0631\n"
    assert printable("a\x00b\u202ec") == "a\\u0000b\\u202ec"


def test_long_names_may_break_behind_their_parts_and_stay_text() -> None:
    assert breakable("a/b_c=d") == "a/<wbr>b_<wbr>c=<wbr>d"
    assert breakable("<b>//__\u202e") == "&lt;b&gt;//__\\<wbr>u202e"
