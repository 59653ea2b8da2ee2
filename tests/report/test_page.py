"""The report in a real browser: nothing runs, nothing is loaded, it fits a phone, and its links work."""

from pathlib import Path

import pytest
from filled import discarded, fill, kept

from loopsmith.report.files import ReportFormat, write_report

CHROMIUM = Path("/usr/bin/chromium")
sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra dev")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs {CHROMIUM}")
HOSTILE = "<script>document.title='owned'</script><img src=http://127.0.0.1:9/x onerror=alert(1)>" + "w" * 300


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def path(store, tell, tmp_path):
    candidates = [
        kept(90.0, hypothesis=HOSTILE, lesson=HOSTILE),
        *(discarded(101.0 + number % 3, first=88.0, hypothesis=HOSTILE, reason=HOSTILE) for number in range(30)),
        {"verdict": "crashed", "reason": HOSTILE},
    ]
    campaign = fill(store, candidates, exact=False, source=f"/{'long' * 40}")
    (written,), _ = write_report(tell(campaign), tmp_path, [ReportFormat.html])
    return written


@pytest.mark.parametrize(("width", "theme", "ground"), [(360, "dark", "13, 17, 23"), (1100, "light", "255, 255, 255")])
def test_the_page_loads_nothing_runs_nothing_and_fits(browser, path, width, theme, ground):
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=theme)
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    assert page.title().startswith("faster: seconds went from 100 to 90")
    assert (said, asked) == ([], [path.as_uri()])
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == f"rgb({ground})"
    marks = page.locator("figure [data-candidate]")
    assert marks.count() == 32
    assert "owned" in page.locator("figure circle.kept title").text_content()
    first = page.locator(".facts .value").first.bounding_box()
    assert first["y"] < 800, "the gain is on the first screen"
    page.close()


def test_a_mark_of_the_picture_leads_to_its_candidate(browser, path):
    page = browser.new_page()
    page.goto(path.as_uri())
    page.locator("figure a[href='#c1']").click()
    assert page.evaluate("location.hash") == "#c1"
    assert page.locator("#c1 h3").is_visible()
    page.close()
