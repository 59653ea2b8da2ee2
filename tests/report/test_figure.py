"""The picture: what it must show, at any scale of the metric, whatever a candidate's text holds."""

import re
from xml.etree import ElementTree

import pytest
from filled import discarded, fill, kept

from loopsmith.report.curve import curve
from loopsmith.report.figure import figure, legend
from loopsmith.report.scale import labels, plain, ticks

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>]]>&\x00\x1b[31m\ud800"


def parsed(text):
    return ElementTree.fromstring(text)


def marks(root, kind):
    return [item for item in root.iter() if kind in item.get("class", "").split() and item.get("data-candidate")]


def test_every_candidate_has_a_mark_with_its_number_and_a_title(store):
    campaign = fill(
        store,
        [
            kept(90.0, hypothesis="fuse the loops"),
            discarded(95.0, first=85.0, hypothesis="a lucky run"),
            discarded(95.0),
            discarded(85.0, baseline=None),
            {"verdict": "crashed"},
            {"verdict": "duplicate"},
            {"verdict": "quarantined", "value": 10.0},
        ],
        exact=False,
    )
    root = parsed(figure(curve(store, campaign)))
    kinds = ("kept", "refused", "discarded", "overtaken", "failed", "unrun", "quarantined")
    assert [[item.get("data-candidate") for item in marks(root, kind)] for kind in kinds] == [
        [str(number)] for number in range(1, 8)
    ]
    titles = {
        item.get("data-candidate"): item.findtext(f"{SVG}title") for item in root.iter() if item.get("data-candidate")
    }
    assert titles["1"] == "candidate 1: kept, 90, +10.0 % (+8.0 % to +12.0 %). fuse the loops"
    assert titles["2"] == "candidate 2: looked better once, refused, 95, its first run 85. a lucky run"
    assert titles["5"].startswith("candidate 5: crashed, no score")


def test_text_of_candidates_is_text(store):
    campaign = fill(store, [kept(90.0, hypothesis=HOSTILE), discarded(95.0, hypothesis=HOSTILE)])
    text = figure(curve(store, campaign), link=lambda number: f'"><script>{number}')
    root = parsed(text)
    assert not [item for item in root.iter() if item.tag.lower().endswith(("script", "img", "foreignObject"))]
    assert not [name for item in root.iter() for name in item.attrib if name.startswith("on")]
    assert any("<script>alert(1)</script>" in (item.text or "") for item in root.iter(f"{SVG}title"))


def test_an_outlier_does_not_squash_the_steps(store):
    values = [discarded(100.0 + number % 5) for number in range(20)]
    plainly = parsed(figure(curve(store, fill(store, [*values, kept(80.0)]))))
    wild = parsed(figure(curve(store, fill(store, [*values, discarded(1e9), kept(80.0)], id="wild"))))

    def height(root):
        ends = [
            float(number) for number in re.findall(r"[ V](\d+\.\d)", root.find(f".//{SVG}path[@class='line']").get("d"))
        ]
        return abs(ends[-1] - ends[0])

    assert height(wild) > 0.9 * height(plainly)
    outside = [item for item in marks(wild, "discarded") if item.tag == f"{SVG}path"]
    assert [item.get("data-candidate") for item in outside] == ["21"], "a triangle at the edge"


@pytest.mark.parametrize("scale", [1e-12, 3e-7, 0.004, 1.0, 7e4, 2e8, 5e15])
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_axes_are_labelled_in_plain_notation_at_any_scale(store, scale, direction):
    campaign = fill(store, [kept(0.9 * scale), discarded(1.1 * scale)], baseline=[scale], direction=direction)
    root = parsed(figure(curve(store, campaign)))
    words = [item.text for item in root.find(f".//{SVG}g[@class='y']").iter(f"{SVG}text")]
    assert len(words) >= 3
    assert len(set(words)) == len(words)
    assert all(re.fullmatch(r"-?[\d,]+(\.\d+)?", word) for word in words)


def test_numbers_never_have_an_exponent_and_ticks_are_round():
    assert [plain(value) for value in (0.0, 1e-9, 0.0001234567, 12.5, 1234567.0, -2e10)] == [
        *("0", "0.000000001", "0.00012346", "12.5", "1,234,567", "-20,000,000,000")
    ]
    assert ticks(0.13, 0.88) == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert labels([1e6, 2e6]) == (["1", "2"], "millions")
    assert labels([0.0001, 0.0002]) == (["100", "200"], "millionths")


@pytest.mark.parametrize("baseline", [(), (0.0, 0.0), (100.0, 100.0)])
def test_a_campaign_without_candidates_draws(store, baseline):
    for across in ("candidates", "time"):
        root = parsed(figure(curve(store, fill(store, [], id=across, baseline=baseline, target=1.0)), across=across))
        assert "NaN" not in ElementTree.tostring(root, "unicode")


def test_the_legend_has_what_there_is_with_its_true_counts(store):
    campaign = fill(store, [kept(90.0), *[discarded(95.0)] * 300, {"verdict": "failed"}], exact=False, target=1.0)
    entries = {entry.kind: entry.count for entry in legend(curve(store, campaign, 20))}
    assert entries == {"kept": 1, "discarded": 300, "failed": 1, "noise": None, "target": None}


def test_a_point_is_linked_where_there_is_an_address(store):
    found = curve(store, fill(store, [kept(90.0), discarded(95.0)]))
    root = parsed(figure(found, link=lambda number: f"/candidates/{number}" if number == 1 else ""))
    assert [item.get("href") for item in root.iter(f"{SVG}a")] == ["/candidates/1"]


def test_alone_it_brings_its_style_and_in_a_page_it_does_not(store):
    found = curve(store, fill(store, [kept(90.0)]))
    assert "prefers-color-scheme: dark" in parsed(figure(found)).findtext(f"{SVG}style")
    assert parsed(figure(found, alone=False)).find(f"{SVG}style") is None
    assert "style=" not in figure(found, alone=False), "a strict policy of the page forbids it"
