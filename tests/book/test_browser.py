"""The site in a real browser, opened as files: it draws, stays readable, and asks nobody for anything."""

import functools
import gzip
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page, TimeoutError
from remarks import OF_THE_BROWSER

from innercodes import claims

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
# Findings that the theme and its extensions bring along, as rule: (reason, selector of the elements it is accepted for).
KNOWN = {
    "label-content-name-mismatch": (
        "the theme's search button shows a key beside its name, and its colour switch holds icons with titles",
        ".search-button-field, .theme-switch-button",
    ),
}
HELPERS = """
window.tests = (() => {
  const channels = (text) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d");
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (text) => {
    const [r, g, b] = channels(text).map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    for (; element; element = element.parentElement) {
      const color = getComputedStyle(element).backgroundColor;
      if (channels(color)[3] > 0) return color;
    }
    return "white";
  };
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  return { luminance, background, contrast };
})();
"""
# Colours fade when a page gets its theme; what is measured is where they end.
STILL = "*, *::before, *::after { transition: none !important; animation: none !important; }"
PHONE = 390
# Milliseconds until something counts as never coming: a busy machine may take its time.
PATIENCE = 120_000
MIN_CONTRAST = 4.5
CHAPTER = "notebooks/02_sparse_interactions.html"

Open = Callable[..., SimpleNamespace]


def visit(browser: Browser, url: str, scheme: str = "light", width: int = 1200) -> SimpleNamespace:
    """Open a page and keep what goes wrong on it: `page`, `errors` and requests to `outside`."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    errors: list[str] = []
    outside: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    # A remark is one too many: who opens the console looks for what went wrong.
    page.on(
        "console", lambda said: None if OF_THE_BROWSER.search(said.text) else errors.append(f"{said.type}: {said.text}")
    )
    own = url.split("//")[1].split("/")[0]
    local = ("file:", "data:", "blob:", f"http://{own}/")
    page.on("request", lambda request: None if request.url.startswith(local) else outside.append(request.url))
    page.goto(url)
    page.add_style_tag(content=STILL)
    page.evaluate(HELPERS)
    page.evaluate("document.fonts.ready.then(() => 0)")
    return SimpleNamespace(page=page, errors=errors, outside=outside)


def draw_plots(page: Page) -> None:
    """Bring each Plotly figure into view and give it time; whether it was drawn is for the test to say."""
    for box in page.locator(".ic-plotly").all():
        # By script: playwright's own scrolling first waits for frames, which a busy machine once did not draw for two minutes.
        box.evaluate("e => e.scrollIntoView({ block: 'center' })")
        try:
            box.locator(".main-svg").first.wait_for(state="attached", timeout=PATIENCE / 2)
        except TimeoutError:
            return
    page.evaluate("scrollTo(0, 0)")


@pytest.fixture(scope="module", params=["light", "dark"])
def opened(browser: Browser, site: Path, page: str, request: pytest.FixtureRequest) -> Iterator[SimpleNamespace]:
    """A page in one colour scheme, with formulas and figures drawn; the tests below look at it one after the other."""
    found = visit(browser, (site / page).as_uri(), request.param)
    found.page.evaluate("window.MathJax?.startup?.promise.then(() => 0)")
    draw_plots(found.page)
    yield SimpleNamespace(**vars(found), scheme=request.param)
    found.page.context.close()


@pytest.fixture
def open_page(browser: Browser, site: Path) -> Iterator[Open]:
    """Opens pages of the site and closes them after the test."""
    contexts = []

    def open_one(name: str, **options: object) -> SimpleNamespace:
        found = visit(browser, (site / name).as_uri(), **options)
        contexts.append(found.page.context)
        return found

    yield open_one
    for context in contexts:
        context.close()


def test_no_error_and_no_request_outside(opened: SimpleNamespace) -> None:
    assert opened.errors == []
    assert opened.outside == []


# First load as a web server sends it, compressed, without Plotly: that comes when a figure comes into view.
MAX_BYTES = 1.5e6
# What counts as good: https://web.dev/articles/cls
MAX_SHIFT = 0.1
SHIFT = """
window.shift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


UNDRAWN = ".ic-plotly:not([data-drawn=yes])"


@functools.cache
def compressed(path: Path) -> int:
    return len(gzip.compress(path.read_bytes()))


@pytest.fixture(scope="module", params=[PHONE, 1200])
def walked(
    browser: Browser, site: Path, page: str, served: str, request: pytest.FixtureRequest
) -> Iterator[SimpleNamespace]:
    """A page from a web server, looked at from top to bottom, so that figures which come into view are drawn.

    Opened once more where they are not: a busy browser has stopped drawing for minutes.
    """
    for last in (False, True):
        context = browser.new_context(viewport={"width": request.param, "height": 900})
        context.set_default_timeout(PATIENCE)
        opened = context.new_page()
        opened.add_init_script(SHIFT)
        files: set[str] = set()
        opened.on("response", lambda response, files=files: files.add(urlsplit(response.url).path.lstrip("/")))
        opened.goto(f"{served}/{page}", wait_until="networkidle")
        first = {name: compressed(site / name) for name in files if (site / name).is_file()}
        height, y = opened.evaluate("document.documentElement.scrollHeight"), 0
        while y < height:
            opened.evaluate(f"scrollTo(0, {y})")
            opened.wait_for_timeout(50)
            y += 900
        draw_plots(opened)
        if last or not opened.locator(UNDRAWN).count():
            break
        context.close()
    yield SimpleNamespace(page=opened, name=page, width=request.param, first=first)
    context.close()


def test_pages_load_little(walked: SimpleNamespace) -> None:
    assert walked.name in walked.first
    assert sum(size for name, size in walked.first.items() if "plotly.min.js" not in name) < MAX_BYTES, walked.first


def test_pages_stand_still(walked: SimpleNamespace) -> None:
    assert walked.page.locator(UNDRAWN).count() == 0
    assert walked.page.evaluate("shift") < MAX_SHIFT


def test_nothing_is_cut_off(walked: SimpleNamespace) -> None:
    page, width = walked.page, walked.width
    assert page.evaluate("document.documentElement.scrollWidth") <= width + 1
    heading = page.locator("article h1").first.bounding_box()
    assert heading["x"] >= 0 and heading["width"] > 0 and heading["x"] + heading["width"] <= width
    # What is cut off at the edge does not make the page wider: each thing must lie inside, or in a box that scrolls.
    cut = page.evaluate(
        """(width) => {
      const scrolls = (e) => e && (/auto|scroll/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
      const kinds = "p, li, h1, h2, h3, a, code, img, td, figure, select, mjx-container, .ic-plotly, .ic-figure > svg";
      return [...document.querySelectorAll(`article :is(${kinds})`)]
        .filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > width + 1 && !scrolls(e.parentElement))
        .map((e) => e.outerHTML.slice(0, 160));
    }""",
        width,
    )
    assert cut == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_has_its_colours_before_the_scripts_of_the_theme(scheme: str, browser: Browser, served: str) -> None:
    """On a slow machine it is drawn before they run: lines would move when the borders of code come."""
    context = browser.new_context(color_scheme=scheme)
    opened = context.new_page()
    opened.route("**/pydata-sphinx-theme.js*", lambda route: route.abort())
    opened.goto(f"{served}/rerun.html")
    assert opened.evaluate("document.documentElement.dataset.theme") == scheme
    assert opened.locator("code.literal").first.evaluate("e => getComputedStyle(e).borderTopWidth") == "1px"
    context.close()


def test_a_page_has_its_width_before_its_end_has_come(page: str, browser: Browser, site: Path, served: str) -> None:
    """A browser draws what there is: a rule that waits for something further down would move every line."""
    text = (site / page).read_text(encoding="utf-8")
    begun = text[: text.index("</h1>", text.index("<article"))]
    context = browser.new_context(viewport={"width": 1200, "height": 900}, java_script_enabled=False)
    opened = context.new_page()
    widths = []
    for cut in (False, True):
        if cut:
            opened.route(f"{served}/{page}", lambda route: route.fulfill(body=begun, content_type="text/html"))
        opened.goto(f"{served}/{page}", wait_until="domcontentloaded")
        widths.append(opened.locator("article h1").bounding_box()["width"])
    assert widths[0] == widths[1]
    context.close()


def test_plotly_waits_for_its_figure(open_page: Open) -> None:
    page = open_page(CHAPTER).page
    loaded = "[...document.scripts].filter((s) => s.src.includes('plotly.min.js')).length"
    assert page.locator(".ic-plotly").count() and page.evaluate(loaded) == 0
    draw_plots(page)
    assert page.evaluate(loaded) == 1


@pytest.mark.parametrize("how", ["files", "server"])
def test_a_page_is_printed_whole(how: str, browser: Browser, site: Path, served: str) -> None:
    """Figures that were never in view, titles, code without empty frames, on the dark page in light colours; then all is as before."""
    found = visit(browser, f"{site.as_uri() if how == 'files' else served}/{CHAPTER}", "dark")
    page = found.page
    count = page.locator(".ic-plotly").count()
    assert count and page.locator(UNDRAWN).count() == count
    page.emulate_media(media="print", color_scheme="dark")
    page.wait_for_function("() => [...document.querySelectorAll('.ic-plotly')].every((e) => e.dataset.drawn === 'yes')")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.ic-plotly .main-svg')].every((e) => e.clientWidth <= 660)"
    )
    seen = page.evaluate("""() => ({
      titles: [...document.querySelectorAll("article h1")].map((e) => e.offsetHeight > 0),
      framed: [...document.querySelectorAll(".cell_input, .cell_input pre, div.highlight")].filter((e) => {
        const { display, breakInside, overflowX } = getComputedStyle(e);
        return display === "flex" || breakInside === "avoid" || overflowX === "auto";
      }).length,
      whole: [...document.querySelectorAll("article figure")].every((e) => getComputedStyle(e).breakInside === "avoid"),
      scrolls: [...document.querySelectorAll(".ic-scroll")].filter((e) => getComputedStyle(e).overflowX !== "visible").length,
      buttons: [...document.querySelectorAll(".copybtn, .headerlink, .ic-menu, .prev-next-area")].filter((e) => e.offsetHeight).length,
      theme: document.documentElement.dataset.theme,
    })""")
    assert seen == {"titles": [True], "framed": 0, "whole": True, "scrolls": 0, "buttons": 0, "theme": "light"}
    page.emulate_media(media="screen", color_scheme="dark")
    page.wait_for_function("() => document.documentElement.dataset.theme === 'dark'")
    page.wait_for_function(
        """() => [...document.querySelectorAll(".ic-plotly")].every(
          (e) => Math.abs(e.querySelector(".main-svg").clientWidth - e.clientWidth) < 2)"""
    )
    assert found.errors == [] and found.outside == []
    page.context.close()


def test_formulas_are_drawn(opened: SimpleNamespace) -> None:
    """By MathJax, with its own fonts, and without source or error marks left on the page."""
    formulas = opened.page.locator(".math").count()
    assert opened.page.locator(".math mjx-container").count() >= formulas
    assert opened.page.locator("mjx-merror").count() == 0
    flat = "e => [...e.querySelectorAll('mjx-container')].filter(m => m.checkVisibility() && !m.offsetWidth).length"
    text = "e => { e = e.cloneNode(true); e.querySelectorAll('pre, code, script, svg').forEach(c => c.remove()); return e.textContent }"
    main = opened.page.locator("#main-content")
    assert main.evaluate(flat) == 0
    assert [mark for mark in (r"\(", r"\[", r"\)", r"\]") if mark in main.evaluate(text)] == []
    if formulas:
        fonts = "[...document.fonts].filter(f => f.family.startsWith('MJX') && f.status === 'loaded').length"
        assert opened.page.evaluate(fonts) > 0


def test_a_recorded_run_shows_all_columns_of_its_record(opened: SimpleNamespace) -> None:
    """The verdict stands in the last one."""
    if "/results/" in opened.page.url:
        room, needed = opened.page.locator(".ic-scroll[aria-label*=claims]").first.evaluate(
            "e => [e.clientWidth, e.scrollWidth]"
        )
        assert needed <= room


def test_plotly_figures_are_drawn(opened: SimpleNamespace) -> None:
    for box in opened.page.locator(".ic-plotly").all():
        assert box.get_attribute("data-drawn") == "yes"
        assert box.locator("svg.main-svg").count() > 0
        assert box.locator(".trace, .hm, .gl-container canvas").count() > 0
        assert box.locator("svg.main-svg").first.bounding_box()["height"] > 100


def test_menus_of_figures_work_by_keyboard(opened: SimpleNamespace) -> None:
    for menu in opened.page.locator("select.ic-menu").all():
        box = menu.locator("xpath=following-sibling::*[contains(@class, 'ic-plotly')][1]")
        visible = "e.data.map((t) => t.visible !== false)"
        before = box.evaluate(f"e => {visible}")
        menu.focus()
        opened.page.keyboard.press("ArrowDown")
        opened.page.wait_for_function(
            f"([e, before]) => `${{{visible}}}` !== `${{before}}`", arg=[box.element_handle(), before]
        )
        assert any(box.evaluate(f"e => {visible}"))
        assert menu.get_attribute("aria-label") and box.locator(".updatemenu-container").count() == 0


def test_text_and_ink_stand_out(opened: SimpleNamespace) -> None:
    """Page, still figures (their ink is the page's text colour) and the writing in Plotly figures, on what lies behind."""
    colours = opened.page.evaluate("""() => {
      const { luminance, background, contrast } = tests;
      const text = getComputedStyle(document.querySelector("#main-content")).color;
      const on = (element, ink) => contrast(ink, background(element));
      const svgs = [...document.querySelectorAll(".ic-figure > svg")];
      const inked = (svg) => [...svg.querySelectorAll("[style*=currentColor], [fill=currentColor]")];
      return {
        page: luminance(background(document.querySelector("#main-content"))),
        text: luminance(text),
        other: svgs.filter((s) => !inked(s).length || inked(s).some((e) => getComputedStyle(e).color !== text)).length,
        ink: svgs.map((s) => on(s, getComputedStyle(s).color)),
        plotly: [...document.querySelectorAll(".ic-plotly .main-svg text")]
          .filter((t) => t.textContent && t.checkVisibility())
          .map((t) => on(t.closest(".ic-plotly"), getComputedStyle(t).fill)),
      };
    }""")
    dark = opened.scheme == "dark"
    assert colours["page"] < 0.2 if dark else colours["page"] > 0.8
    assert colours["text"] > 0.6 if dark else colours["text"] < 0.2
    assert colours["other"] == 0, "figures whose ink does not follow the page's text"
    assert [contrast for contrast in colours["ink"] + colours["plotly"] if contrast < MIN_CONTRAST] == []


# Contrast hangs on these alone, and asking for each word takes most of axe's time: some elements of each look are marked.
LOOKS = """() => {
  const seen = new Map();
  const behind = (element) => {
    const { backgroundColor } = getComputedStyle(element);
    return backgroundColor === "rgba(0, 0, 0, 0)" && element.parentElement ? behind(element.parentElement) : backgroundColor;
  };
  for (const element of document.body.querySelectorAll("*:not(svg *)")) {
    if (![...element.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim()) || !element.checkVisibility()) continue;
    const { color, opacity, fontSize, fontWeight } = getComputedStyle(element);
    const look = [element.tagName, color, behind(element), opacity, fontSize, fontWeight].join();
    seen.set(look, (seen.get(look) || 0) + 1);
    if (seen.get(look) <= 3) element.dataset.look = "";
  }
}"""


def serious(opened: SimpleNamespace) -> list[str]:
    """What axe finds serious or critical on a page, but for what is `KNOWN`."""
    opened.page.evaluate(AXE)
    opened.page.evaluate(LOOKS)
    contrast = '{ runOnly: { type: "rule", values: ["color-contrast"] } }'
    # In the dark only colours differ.
    others = {
        "light": '{ rules: { "color-contrast": { enabled: false }, "label-content-name-mismatch": { enabled: true } } }',
        "dark": '{ runOnly: { type: "rule", values: ["link-in-text-block"] } }',
    }[opened.scheme]
    # The strokes of a still figure are one picture to a screen reader.
    # Preloading would fetch style sheets, which a browser refuses to pages opened as files.
    violations = [
        violation
        for context, rules in (('include: ["[data-look]"], ', contrast), ("", others))
        for violation in opened.page.evaluate(
            f"""axe.run({{ {context}exclude: [".ic-figure > svg > *"] }}, {{
              preload: false, resultTypes: ["violations"], ...{rules}
            }}).then((report) => report.violations)"""
        )
    ]
    found = []
    for violation in violations:
        accepted = KNOWN.get(violation["id"], ("", ":not(*)"))[1]
        for node in violation["nodes"]:
            excused = opened.page.evaluate(
                "([element, known]) => document.querySelector(element)?.matches(known)", [node["target"][0], accepted]
            )
            if violation["impact"] in ("serious", "critical") and not excused:
                found.append(
                    f"{violation['id']} ({violation['impact']}): {node['html'][:200]}: {node['failureSummary']}"
                )
    return found


def test_axe_finds_nothing_serious(opened: SimpleNamespace) -> None:
    assert serious(opened) == []


def test_a_recorded_page_opens_without_a_word(browser: Browser, site: Path, recorded: str) -> None:
    """By day one visit in light, without scrolling: what its figures do when they are drawn is looked at by night."""
    found = visit(browser, (site / recorded).as_uri())
    assert found.page.locator("article h1").is_visible() and found.page.locator(".ic-verdict").count() > 0
    assert serious(SimpleNamespace(**vars(found), scheme="light")) == []
    assert found.errors == [] and found.outside == []
    found.page.context.close()


def test_keyboard_reaches_switch_and_filters(open_page: Open) -> None:
    """With the tab key alone, and one sees where one is."""
    page = open_page("scorecard.html").page
    reached = {}
    for _ in range(60):
        page.keyboard.press("Tab")
        name, visible = page.evaluate("""() => {
          const e = document.activeElement, style = getComputedStyle(e);
          const ring = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
          return [e.dataset.filter || (e.matches(".theme-switch-button") ? "theme" : e.getAttribute("aria-label")), ring];
        }""")
        reached[name] = visible
    assert {name: reached.get(name) for name in ("theme", "paper", "verdict", "scale", "scorecard")} == dict.fromkeys(
        ("theme", "paper", "verdict", "scale", "scorecard"), True
    )
    # A filter works without a mouse.
    page.locator("select[data-filter=verdict]").focus()
    page.keyboard.press("ArrowDown")
    assert page.locator(".ic-scorecard tbody tr:visible").count() < page.locator(".ic-scorecard tbody tr").count()


def test_a_quiz_answers_by_keyboard(open_page: Open) -> None:
    """An opened option says in words whether it is right; the next one closes it."""
    page = open_page(CHAPTER).page
    options = page.locator(".ic-quiz ol > li").first.locator("details")
    said = []
    for i in range(options.count()):
        options.nth(i).locator("summary").focus()
        page.keyboard.press("Enter")
        assert options.nth(i).get_attribute("open") is not None
        said.append(options.nth(i).locator("strong").inner_text())
        assert options.nth(i).locator("p").is_visible()
    assert sorted(set(said)) == ["Not right.", "Right."] and said.count("Right.") == 1
    assert page.locator(".ic-quiz details[open]").count() == 1
    page.keyboard.press("Space")
    assert page.locator(".ic-quiz details[open]").count() == 0


def test_scorecard_filters(open_page: Open) -> None:
    page = open_page("scorecard.html").page
    rows, count = page.locator(".ic-scorecard tbody tr"), page.locator(".ic-count")
    total = rows.count()

    def shown() -> list[dict[str, str]]:
        return rows.evaluate_all("all => all.filter(r => r.checkVisibility()).map(r => ({ ...r.dataset }))")

    assert len(shown()) == total and count.inner_text() == f"{total} rows"
    everything = shown()
    for key in ("paper", "verdict", "scale"):
        select = page.locator(f"select[data-filter={key}]")
        for value in select.locator("option").all_inner_texts()[1:]:
            select.select_option(value)
            expected = [row for row in everything if row[key] == value]
            assert shown() == expected
            assert count.inner_text() == f"{len(expected)} rows"
        select.select_option("")
    # Two filters at once, then back to all.
    judged = next(row for row in everything if row["scale"] != "none")
    page.locator("select[data-filter=paper]").select_option(judged["paper"])
    page.locator("select[data-filter=verdict]").select_option(judged["verdict"])
    both = [row for row in everything if (row["paper"], row["verdict"]) == (judged["paper"], judged["verdict"])]
    assert shown() == both and 0 < len(both) < total
    for key in ("paper", "verdict"):
        page.locator(f"select[data-filter={key}]").select_option("")
    assert shown() == everything


def test_scorecard_sorts(open_page: Open) -> None:
    """By keyboard: numbers as numbers with the empty ones last, names in the order of their numbers, verdicts from good to bad."""
    page = open_page("scorecard.html").page
    rows = page.locator(".ic-scorecard tbody tr")
    before = rows.evaluate_all("all => all.map((r) => r.cells[0].textContent)")

    def press(column: str) -> str:
        button = page.get_by_role("button", name=column, exact=True)
        button.focus()
        page.keyboard.press("Enter")
        return button.locator("xpath=..").get_attribute("aria-sort")

    def column(script: str) -> list:
        return rows.evaluate_all(f"all => all.map((r) => {script})")

    assert press("Here") == "ascending"
    values = column("r.dataset.value === undefined ? null : Number(r.dataset.value)")
    numbers = [value for value in values if value is not None]
    assert (
        numbers == sorted(numbers) and values == numbers + [None] * (len(values) - len(numbers)) and len(numbers) > 20
    )
    assert press("Here") == "descending"
    values = column("r.dataset.value === undefined ? null : Number(r.dataset.value)")
    assert values == sorted(numbers, reverse=True) + [None] * (len(values) - len(numbers))
    assert press("Verdict") == "ascending" and page.locator("th[aria-sort]").count() == 1
    places = [claims.VERDICTS.index(verdict) for verdict in column("r.dataset.verdict")]
    assert places == sorted(places) and len(set(places)) > 1
    assert press("Claim") == "ascending"
    names = [(name.rpartition("-")[0], int(name.rpartition("-")[2])) for name in column("r.cells[0].textContent")]
    assert names == sorted(names)
    # Sorting loses no row, and a filter still works.
    assert sorted(column("r.cells[0].textContent")) == sorted(before)
    page.locator("select[data-filter=verdict]").select_option("partly")
    assert set(rows.locator("visible=true").evaluate_all("all => all.map((r) => r.dataset.verdict)")) == {"partly"}


def test_a_link_asks_the_scorecard_for_some_rows(open_page: Open) -> None:
    page = open_page("index.html").page
    link = page.locator(".ic-held a").nth(1)
    link.click()
    page.wait_for_url("**/scorecard.html?paper=*")
    chosen = page.locator("select[data-filter=paper]").input_value()
    shown = page.locator(".ic-scorecard tbody tr").locator("visible=true")
    assert chosen and shown.count() > 0
    assert set(shown.evaluate_all("all => all.map((r) => r.dataset.paper)")) == {chosen}


def test_the_citation_is_copied(browser: Browser, served: str) -> None:
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=served)
    page = context.new_page()
    page.goto(f"{served}/references.html")
    box = page.locator("div.highlight", has_text="cff-version").first
    box.hover()
    box.locator("button.copybtn").click()
    page.wait_for_function("async () => await navigator.clipboard.readText()")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == (Path(__file__).parents[2] / "CITATION.cff").read_text(encoding="utf-8").strip()
    context.close()


def test_theme_switch_changes_page_and_plots(open_page: Open) -> None:
    page = open_page(CHAPTER).page
    draw_plots(page)
    look = """() => [
      document.documentElement.dataset.theme,
      tests.luminance(getComputedStyle(document.querySelector(".ic-plotly .xtick text")).fill),
      tests.luminance(getComputedStyle(document.querySelector(".ic-figure > svg")).color),
      tests.luminance(tests.background(document.querySelector(".ic-plotly"))),
    ]"""
    before = page.evaluate(look)
    assert before[0] == "light" and before[1] < 0.2 and before[2] < 0.2 and before[3] > 0.8
    switch = page.locator(".theme-switch-button").first
    for _ in range(3):
        if page.evaluate("document.documentElement.dataset.theme") == "light":
            switch.click()
    page.wait_for_function(f"({look})()[1] > 0.6")
    after = page.evaluate(look)
    assert after[0] == "dark" and after[2] > 0.6 and after[3] < 0.2


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    """The address of the site behind a web server of this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("how", ["files", "server"])
def test_search_finds_a_chapter(how: str, browser: Browser, site: Path, served: str) -> None:
    start = site.as_uri() if how == "files" else served
    found = visit(browser, f"{start}/search.html?q=dividend")
    hit = found.page.locator(f"#search-results a[href*='{CHAPTER}']").first
    hit.wait_for()
    hit.click()
    found.page.wait_for_url(f"**/{CHAPTER}*")
    assert "dividend" in found.page.locator("#main-content").inner_text().lower()
    assert found.outside == []
    # The lines of context below a hit are fetched, which a browser refuses to pages opened as files.
    assert how == "files" or found.errors == []
    found.page.context.close()
