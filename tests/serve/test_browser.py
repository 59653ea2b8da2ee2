"""The page in Chromium, while a campaign runs: it updates by itself, and asks nobody but its own server."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from serving import TOKEN, Client
from support import setting_x, write_source

from loopsmith.errors import TrackerError
from loopsmith.tracker import open_store

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
SOON = 20_000  # milliseconds
SMALLEST = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser) -> Iterator:
    """A page whose console stays silent and whose requests stay on the host; the test fails otherwise."""
    context = browser.new_context()
    opened, wrong = context.new_page(), []
    opened.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    context.on(
        "request", lambda request: wrong.append(request.url) if urlsplit(request.url).hostname != "127.0.0.1" else None
    )
    yield opened
    context.close()
    assert not wrong


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen]]:
    """A campaign in its own process, whose workers each wait until the test lets them go."""
    gate = tmp_path / "gate"
    gate.mkdir()
    agent = setting_x(12, 11, 14, 13)
    agent["commands"] = [
        f"while [ ! -e {gate}/{n} ]; do sleep 0.05; done; {each}" for n, each in enumerate(agent["commands"])
    ]
    path = write_source(
        tmp_path / "source",
        agent=agent,
        budget={"rounds": 2},
        search={"workers": 1},
        sandbox="off",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "loopsmith", "run", str(path), "--plain"],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    yield gate, process
    for number in range(4):
        (gate / str(number)).touch()
    process.terminate()
    process.wait(30)


def begun(state: Path) -> None:
    """Wait until the campaign has its first worker."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        # Until it is made there is none to read.
        with suppress(TrackerError), open_store(state / "tracker.db", read_only=True) as store:
            if store.campaigns() and store.activity(store.campaigns()[0].id):
                return
        time.sleep(0.05)
    raise AssertionError("the campaign did not begin")


def test_the_page_follows_a_campaign_and_steers_it(serve, running, page, tmp_path):
    gate, process = running
    state = tmp_path / "source" / ".loopsmith"
    begun(state)
    client: Client = serve(state, control=True)
    page.goto(f"{client.url}/#token={TOKEN}")
    page.get_by_role("button", name="Sign out").wait_for(timeout=SOON)
    assert TOKEN not in page.url
    page.get_by_role("link", name="tiny").click()
    page.locator("#doing-1-working").wait_for(timeout=SOON)
    assert page.locator("#state").inner_text() == "running"
    page.get_by_label("A word to the workers").fill("half a word")
    page.evaluate("window.same = 1")
    (gate / "0").touch()
    (gate / "1").touch()
    page.locator("#kept-1").wait_for(timeout=SOON)
    assert "+20.0 %" in page.locator("#gain").inner_text()
    assert page.locator("#curve circle.kept").count() == 1
    assert page.evaluate("window.same") == 1  # it was not loaded again
    assert page.get_by_label("A word to the workers").input_value() == "half a word"
    page.get_by_label("A word to the workers").fill("try a larger X")
    page.get_by_role("button", name="Send").click()
    page.locator("#hints").get_by_text("try a larger X").wait_for(timeout=SOON)
    for number in (2, 3):
        (gate / str(number)).touch()
    page.locator("#state").get_by_text("done").wait_for(timeout=SOON)
    page.locator("#kept-3").wait_for(timeout=SOON)
    assert process.wait(30) == 0
    page.locator("#curve a[tabindex='0']").focus()
    page.keyboard.press("End")
    page.locator("#tip").get_by_text("candidate 4").wait_for()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Candidate 4").wait_for()
    assert page.locator(".diff .add").inner_text().strip().endswith("X=13")
    assert "12" in page.locator(".diff .remove").inner_text()


def test_every_page_fits_a_phone_in_both_themes_and_can_be_read_aloud(client, page):
    page.set_viewport_size(SMALLEST)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for path in ("/", "/c/c", "/c/c/1", "/c/c/candidates", "/c/c/compare?a=1&b=4", "/c/c/memory", "/c/c/events"):
            page.goto(client.url + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= SMALLEST["width"], path
            assert page.evaluate(UNNAMED) == [], path
            assert page.evaluate(FAINT) == [], (scheme, path)
    page.goto(f"{client.url}/c/c")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.get_by_role("button", name="Light theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(250, 250, 250)"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_without_its_script_the_page_still_shows_everything(client, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{client.url}/c/c")
    page.get_by_label("Search the candidates").fill("idea 2")
    page.get_by_role("button", name="Search").click()
    assert page.locator("tbody tr").count() == 1
    page.locator("tbody a").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Candidate 2"
    context.close()


def test_a_page_whose_tracker_is_gone_comes_back_by_itself(client, state, browser):
    page = browser.new_page()
    page.goto(f"{client.url}/c/c")
    page.locator("#live[data-state=live]").wait_for(timeout=SOON)
    (state / "tracker.db").rename(state / "other.db")
    page.get_by_role("heading", name="The tracker cannot be read").wait_for(timeout=SOON)
    (state / "other.db").rename(state / "tracker.db")
    page.get_by_role("heading", name="faster").wait_for(timeout=SOON)
    page.close()


def test_a_tab_that_is_not_seen_holds_no_connection_and_catches_up_when_it_is(client, state, page):
    def becomes(visible: str) -> None:
        page.evaluate(f"Object.defineProperty(document, 'visibilityState', {{value: '{visible}', configurable: true}})")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    page.goto(f"{client.url}/c/c")
    page.locator("#live[data-state=live]").wait_for(timeout=SOON)
    becomes("hidden")
    assert page.evaluate("news.readyState") == 2
    with open_store(state / "tracker.db") as store:
        event = store.record_event("c", "test.happened")
    assert page.locator(f"#event-{event.id}").count() == 0
    becomes("visible")
    page.locator(f"#event-{event.id}").wait_for(timeout=SOON)


# What a screen reader could not name: fields, buttons and links without words, headings that skip a level, tables
# without headers.
UNNAMED = """() => {
  const wrong = [], note = (each) => wrong.push(each.outerHTML.slice(0, 200));
  const all = (query) => [...document.querySelectorAll(query)];
  for (const field of all("input:not([type=hidden]), select, textarea"))
    if (!field.labels.length && !field.getAttribute("aria-label")) note(field);
  for (const link of all("a, button, summary"))
    if (!(link.innerText || link.textContent).trim() && !link.getAttribute("aria-label")) note(link);
  let level = 0;
  for (const heading of all("h1, h2, h3, h4")) {
    const now = Number(heading.tagName[1]);
    if (now > level + 1) note(heading);
    level = now;
  }
  for (const table of all("table"))
    if (!table.querySelector("th[scope=col]") || !table.querySelector("th[scope=row], td.none")) note(table);
  for (const each of all("svg"))
    if (!each.closest("[aria-hidden=true]") && !each.getAttribute("aria-label")) note(each);
  if (all("main").length !== 1 || !all("header").length || !document.documentElement.lang) wrong.push("landmarks");
  return wrong;
}"""
# Texts whose contrast with what is behind them is below 4.5 (WCAG 2.2, 1.4.3).
FAINT = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (text) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => top.slice(0, 3).map((value, i) => value * top[3] + under[i] * (1 - top[3]));
  const linear = (v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = (colour) => {
    const [r, g, b] = colour.map((value) => linear(value / 255));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = (node) => {
    const layers = [];
    for (let each = node; each; each = each.parentElement) layers.push(rgba(getComputedStyle(each).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  const wrong = new Set(), walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const words = walker.currentNode.data.trim(), node = walker.currentNode.parentElement;
    if (!words || !node.getClientRects().length || node.closest("svg, .hush, script, :disabled")) continue;
    const ground = behind(node), text = over(rgba(getComputedStyle(node).color), ground);
    const [dark, bright] = [light(text), light(ground)].sort((a, b) => a - b);
    if ((bright + .05) / (dark + .05) < 4.5) wrong.add(`${words.slice(0, 40)}: ${text} on ${ground}`);
  }
  return [...wrong];
}"""
