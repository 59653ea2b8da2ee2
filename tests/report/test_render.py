"""The report as HTML and Markdown: whatever candidates wrote stays text, and nothing is loaded from anywhere."""

import re
from base64 import b64encode
from hashlib import sha256
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from filled import discarded, fill, kept
from markdown_it import MarkdownIt

from loopsmith.report.changes import PatchLine, classed
from loopsmith.report.colours import coloured
from loopsmith.report.render import fenced, html, markdown, md, patch_block, span

HOSTILE = (
    "<script>document.title='owned'</script><img src=x onerror=alert(1)> | **b** `c` [d](javascript:alert(2))\n# e"
)


class Seen(HTMLParser):
    """The tags, ids and addresses of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.addresses, self.attributes = set(), [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [value for name, value in attrs if name == "id"]
        self.addresses += [value for name, value in attrs if name in ("href", "src", "xlink:href", "action")]


@pytest.fixture
def hostile(store, tell):
    campaign = fill(
        store,
        [
            kept(90.0, hypothesis=HOSTILE, lesson=HOSTILE, category=HOSTILE, agent=HOSTILE),
            discarded(95.0, first=80.0, hypothesis=HOSTILE, try_next=HOSTILE, reason=HOSTILE, agent=HOSTILE),
            {"verdict": "failed", "rule": HOSTILE, "reason": HOSTILE},
            {"verdict": "quarantined", "value": 1.0, "hypothesis": HOSTILE, "reason": HOSTILE},
        ],
        exact=False,
        status="failed",
        stop_reason="harness",
        message=HOSTILE,
    )
    store.record_event("c", "sandbox.missing", reason=HOSTILE, not_protected=[HOSTILE])
    store.record_event("c", "verifier.tested", canaries=[HOSTILE])
    store.record_event("c", "noise.measured", noise="2 %", warnings=[HOSTILE])
    return tell(campaign)


def test_html_of_hostile_text_has_no_tag_of_it(hostile):
    text = html(hostile)
    seen = Seen(text)
    assert not seen.tags & {"script", "img", "iframe", "object", "link", "b", "strong[onerror]"}
    assert not [name for name in seen.attributes if name.startswith("on")]
    assert all(address.startswith("#c") for address in seen.addresses)
    assert text.count("&lt;script&gt;") >= 10


def test_every_link_of_the_page_leads_somewhere_in_it_and_no_id_stands_twice(hostile):
    seen = Seen(html(hostile))
    assert seen.addresses
    assert {address.removeprefix("#") for address in seen.addresses} <= set(seen.ids)
    assert len(set(seen.ids)) == len(seen.ids)


def test_the_policy_allows_the_style_of_the_page_and_nothing_else(hostile):
    text = html(hostile)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1].replace("&#39;", "'")
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert " style=" not in text
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)


def test_markdown_of_hostile_text_has_no_markup_of_it(hostile):
    text = markdown(hostile)
    flat = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        flat += [token, *(token.children or ())]
    tags = {token.content.strip() for token in flat if token.type in ("html_inline", "html_block")}
    assert all(re.fullmatch(r"</?details( open)?>(<summary>Patch, \d+ lines</summary>)?", tag) for tag in tags)
    assert not [token for token in flat if token.type in ("link_open", "s_open", "em_open")]
    assert [token.attrs["src"] for token in flat if token.type == "image"] == ["progress.png"]
    titles = [after.content for token, after in pairwise(flat) if token.type == "heading_open"]
    assert [title for title in titles if not title.startswith("+")][1:] == [
        *("Take it", "Whether to believe it", "Progress", "What was kept", "What was tried", "What was learned"),
        *("What to try next", "How it ended, and how to go on", "The candidates named above"),
    ]
    rows = [[]]
    for token in flat:
        if token.type == "tr_open":
            rows.append([])
        elif token.type in ("th_open", "td_open"):
            rows[-1].append(token)
    assert {len(row) for row in rows[1:]} <= {2, 3, 4, 8}, "no cell more than the tables have"
    assert text.count("document.title='owned'") >= 10


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# not a title", r"\# not a title"),
        ("1. not a list", r"1\. not a list"),
        ("- not a list", r"\- not a list"),
        ("2.69 to 2.2, -1 and val_bpb", "2.69 to 2.2, -1 and val_bpb"),
        ("_soft_ *hard* ~~gone~~", r"\_soft\_ \*hard\* \~\~gone\~\~"),
        ("a & b &lt;", "a &amp; b &amp;lt;"),
        ("see https://x.y and www.z.a", r"see https\://x.y and www\.z.a"),
        ("two\nlines | $5 and $6$", r"two lines \| \$5 and \$6\$"),
    ],
)
def test_a_text_in_markdown_is_shown_as_it_is(text, shown):
    assert md(text) == shown


def test_a_fence_cannot_be_closed_by_what_it_holds():
    lines = [PatchLine("added", "+```"), PatchLine("added", "+````` evil")]
    assert patch_block(lines).startswith("``````diff\n")
    assert fenced("a\n~~~\n").endswith("a\n~~~\n```")
    assert span("a `b`` c") == "``` a `b`` c ```"


def test_lines_of_a_patch_are_told_apart_even_when_they_look_like_its_head():
    head, body = (
        ("diff --git a/x b/x", "--- a/x", "+++ b/x", "@@ -1,2 +1,2 @@"),
        ("--- a title", "+++ next", " same"),
    )
    assert [line.kind for line in classed([*head, *body, "diff --git a/y b/y", "--- a/y"])] == [
        *("file", "file", "file", "hunk", "removed", "added", "context", "file", "file")
    ]


def test_code_has_the_colours_of_its_language_and_stays_the_same_text():
    body = [
        "+def f(x):  # <b>why</b>",
        '-    return "</span>" + 1',
        " \t" + "'" * 3,
        "+",
        "\\ No newline at end of file",
    ]
    heads = (["--- a/x.py", "+++ b/x.py", "@@ -1 +1 @@"], ["diff --git a/y b/y", "--- a/y.odd", "+++ b/y.odd", "@@ @@"])
    lines = classed([*heads[0], *body, *heads[1], *body])
    shown = list(coloured(lines))
    assert [kind for kind, _ in shown] == [line.kind for line in lines]
    assert [unescape(re.sub("<[^>]*>", "", code)) for _, code in shown] == [line.text for line in lines]
    assert shown[3][1].startswith('+<span class="kw">def</span>')
    assert '<span class="co"># &lt;b&gt;why&lt;/b&gt;</span>' in shown[3][1]
    assert "<span" not in "".join(code for _, code in shown[9:])


def test_markdown_names_the_picture_only_where_there_is_one(store, tell):
    it = tell(fill(store, [kept(90.0)]))
    assert "](progress.png)" in markdown(it)
    assert "progress.png" not in markdown(it, picture=False)


def test_both_say_the_same(store, tell):
    it = tell(
        fill(store, [kept(90.0, hypothesis="fuse the loops", lesson="loops dominate"), discarded(95.0, first=80)])
    )
    for text in (html(it), markdown(it)):
        plain = text.replace("&#39;", "'").replace("\\", "")
        for sentence in (it.headline, it.verdict, "fuse the loops", "loops dominate", *(b.words for b in it.beliefs)):
            assert sentence in plain
        for command in (*it.take, *it.goes_on):
            assert command.line in plain
