"""The shapes and texts of a plot."""

from __future__ import annotations

from xml.etree import ElementTree

from tools.reporting import plots

SVG = "{http://www.w3.org/2000/svg}"


def heights(drawn):
    root = ElementTree.fromstring(drawn)
    return [float(circle.attrib["cy"]) for circle in root.iter(f"{SVG}circle")]


def test_flat_looks_flat_and_twice_as_much_is_twice_as_high():
    flat = heights(plots.lines("t", "x", "y", {"a": [(10, 5), (100, 5)]}, log_x=True))
    assert flat[0] == flat[1]
    axis = plots.HEIGHT - plots.BOTTOM
    one, two = heights(plots.lines("t", "x", "y", {"a": [(1, 4), (2, 8)]}))
    assert round((axis - two) / (axis - one), 2) == 2


def test_decades_are_equally_far_apart_on_a_logarithmic_axis():
    a, b, c = heights(plots.lines("t", "x", "y", {"a": [(1, 10), (2, 100), (3, 1000)]}, log_y=True))
    assert round(a - b, 1) == round(b - c, 1)


def test_names_are_text_and_nothing_else():
    drawn = plots.lines("a < b & c", "x", "y", {"<b>": [(1, 1, 0.5, 2)], "d": [(2, 2)]})
    texts = [text.text for text in ElementTree.fromstring(drawn).iter(f"{SVG}text")]
    assert "a < b & c" in texts and "<b>" in texts
