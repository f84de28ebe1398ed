"""The built site as files: links, figures, scorecard, downloads, and nothing in it that points at a machine."""

import csv
import functools
import json
import re
import shutil
import socket
import tomllib
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import build_site
import nbformat
import pytest
import runs
import stage
from bs4 import BeautifulSoup, Tag

from innercodes import claims, parameters, verdict_picture
from innercodes import site as innercodes_site

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LOADED = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "embed": "src",
    "object": "data",
}
LAUNCHERS = ("colab.research.google.com", "mybinder.org")
MIN_ALT = 20
# A path from the root of a machine's disk, also as a file address; a relative one, or one below '~', is none.
MACHINE_PATH = re.compile(r"(?<![\w.~$}*-])/(?:home|root|work|tmp|Users|mnt)/")

Read = Callable[[Path], BeautifulSoup]
List = Callable[[Path], list[str]]


def external(url: str) -> bool:
    return bool(urlsplit(url).scheme or urlsplit(url).netloc)


def ids(page: BeautifulSoup) -> list[str]:
    return [tag["id"] for tag in page.find_all(id=True)]


def broken_links(site: Path, page: str, read: Read) -> list[str]:
    """The local addresses of a page that lead to no file of the site, or to no anchor in it."""
    broken, anchors = [], functools.cache(lambda path: frozenset(ids(read(path))))
    here = site / page
    for tag in read(here).find_all(lambda tag: tag.has_attr("href") or tag.has_attr("src")):
        url = tag.get("href", tag.get("src"))
        if external(url):
            continue
        parts = urlsplit(url)
        target = (here.parent / unquote(parts.path)).resolve() if parts.path else here
        if not target.is_file() or not target.is_relative_to(site.resolve()):
            broken.append(f"<{tag.name}> {url}: no such file in the site")
        elif parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in anchors(target):
            broken.append(f"<{tag.name}> {url}: no such anchor")
    return broken


def figures(page: BeautifulSoup) -> list[Tag]:
    return page.select("figure.ic-figure")


def scorecard(site: Path, read: Read) -> list[Tag]:
    rows = read(site / "scorecard.html").select(".ic-scorecard tbody tr")
    assert rows, "no scorecard"
    return rows


def is_judged(row: Tag) -> bool:
    """Whether a row of the scorecard has a number; the others say why not."""
    return row.has_attr("data-value")


def test_the_site_has_what_is_looked_at_here(site: Path, pages_of: List, soup: Read) -> None:
    """Tests that go through all figures or formulas of a page say nothing where there are none at all."""
    for selector in ("figure.ic-figure svg", ".ic-plotly", ".math", ".ic-claim", "pre"):
        assert any(soup(site / page).select_one(selector) for page in pages_of(site)), f"{selector} on no page"
    for notebook in NOTEBOOKS:
        assert figures(soup(site / "notebooks" / f"{notebook.stem}.html")), f"{notebook.stem} has no figure"


def test_links_and_anchors_resolve(site: Path, any_page: str, soup: Read) -> None:
    assert broken_links(site, any_page, soup) == []


def test_nothing_is_loaded_from_outside(site: Path, any_page: str, soup: Read) -> None:
    page = soup(site / any_page)
    outside = [
        str(tag)[:200]
        for name, attribute in LOADED.items()
        for tag in page.find_all(name, {attribute: True})
        # A canonical address names the page and loads nothing.
        if external(tag[attribute]) and not tag[attribute].startswith("data:") and "canonical" not in tag.get("rel", ())
    ]
    scripts = [tag.text for tag in page.find_all("script") if tag.get("type") != "application/json"]
    outside += [found for text in scripts for found in re.findall(r"https?://[^\s\"']+", text)]
    assert outside == []


def test_ids_are_unique(site: Path, any_page: str, soup: Read) -> None:
    assert [name for name, count in Counter(ids(soup(site / any_page))).items() if count > 1] == []


def test_pictures_have_alt_text(site: Path, any_page: str, soup: Read) -> None:
    page = soup(site / any_page)
    assert [str(tag)[:200] for tag in page.find_all("img") if not tag.get("alt", "").strip()] == []
    drawn = [*page.select("figure svg:not(svg svg)"), *page.select(".ic-plotly")]
    mute = [tag for tag in drawn if tag.get("role") != "img" or len(tag.get("aria-label", "").strip()) < MIN_ALT]
    assert [str(tag)[:200] for tag in mute] == []
    labels = Counter(tag["aria-label"] for tag in drawn)
    assert [label for label, count in labels.items() if count > 1] == [], "figures with the same alt text"


def test_figures_say_where_they_come_from(site: Path, page: str, soup: Read) -> None:
    content = soup(site / page)
    # A picture that did not go through plots.show has neither caption nor provenance.
    stray = [tag for tag in content.select(".cell_output img, .cell_output svg") if not tag.find_parent("figure")]
    assert [str(tag)[:200] for tag in stray] == []
    for figure in figures(content):
        assert figure.figcaption.text.strip()
        (line,) = figure.select("p.ic-provenance")
        preset, run, *rest = line.text.split(" · ")
        assert preset in parameters.PRESETS and run
        if page.startswith("results/"):
            assert page.startswith(f"results/{preset}/") and page.endswith(f"--{run}.html")
        text = " · ".join(rest)
        assert re.search(r"\bcommit [0-9a-f]{7,40}\b", text), text
        assert re.search(r"\bseeds? \d+", text) and re.search(r"\d min\b", text), text
        (link,) = line.find_all("a")
        assert re.search(r"#fig-[a-z0-9-]+$", link["href"]), link


def test_scorecard_shows_all_claims(site: Path, soup: Read) -> None:
    shown = {row.th.text.strip() for row in scorecard(site, soup)}
    assert shown == {claim["id"] for paper in claims.papers() for claim in paper["claims"]}


def test_judged_claims_link_to_where_they_are_judged(site: Path, soup: Read) -> None:
    """A row without a number leads to the record, where a chapter has no cell for its claim."""
    runs_of = [row for row in scorecard(site, soup) if row["data-scale"] != "none"]
    assert any(map(is_judged, runs_of)) and not all(map(is_judged, runs_of))
    for row in runs_of:
        name = row.th.text.strip()
        assert row.th.a, f"{name} has no link"
        path, anchor = row.th.a["href"].split("#")
        assert anchor == name or (not is_judged(row) and anchor == innercodes_site.RECORD)
        assert anchor in ids(soup(site / path)), f"{path} has no anchor {anchor}"


def test_each_claim_stands_beside_each_run(site: Path, soup: Read) -> None:
    """Also where it was not tested: with the run's own reason, so that the filter finds it."""
    found = Counter()
    for row in scorecard(site, soup):
        if row["data-scale"] != "none":
            run = row.find_all("td")[-1].text.removesuffix(" (older than the chapter)").split(", ")[0]
            found[row.th.text.strip(), run, row["data-verdict"]] += 1
    expected, reasons = Counter(), 0
    for path in sorted((ROOT / "results").glob("*/*--*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        known = claims.of_chapter(content["chapter"])
        for row in content["claims"]:
            if row["id"] in known:
                expected[row["id"], f"{content['preset']} · {content['run']}", row["verdict"]] += 1
                reasons += row["verdict"] == "not tested here"
    assert reasons > 100
    recorded = {key: count for key, count in found.items() if not key[1].startswith("quick")}
    assert recorded == dict(expected) and set(expected.values()) == {1}
    # A quick run of each chapter, and each of its claims once.
    quick = Counter(name for name, run, _ in found.elements() if run.startswith("quick"))
    assert quick == Counter(claim["id"] for paper in claims.papers() for claim in paper["claims"])


def made_run(name: str, preset: str, rows: dict[str, dict]) -> dict:
    """A run of chapter 02 as staging describes it: the claims that are named, the others without a number."""
    given = claims.of_chapter("02_sparse_interactions")
    empty = {"value": None, "ci": None, "baseline": None, "verdict": "not tested here", "note": f"not in {name}"}
    found = [{"id": key} | empty | rows.get(key, {}) for key in given]
    page = (
        "notebooks/02_sparse_interactions" if preset == "quick" else f"results/{preset}/02_sparse_interactions--{name}"
    )
    return {
        "chapter": "02_sparse_interactions",
        "preset": preset,
        "run": name,
        "page": page,
        "stale": False,
        "claims": found,
    }


def test_what_was_not_tested_is_listed_and_not_counted() -> None:
    """Rows with reasons are added; what held, what did not and what nobody judged is counted without them."""
    good = {"value": 1.0, "verdict": "reproduced", "note": ""}
    bad = {"value": 0.0, "verdict": "not reproduced", "note": ""}
    effects = [
        key for key, claim in claims.of_chapter("02_sparse_interactions").items()
        if not verdict_picture.exact(claim)
    ][:3]  # fmt: skip
    first, second = (
        made_run("default", "quick", {effects[0]: good, effects[1]: good}),
        made_run("planted", "imagenet", {effects[1]: bad, effects[2]: bad}),
    )
    rows = [
        row
        for row in innercodes_site.scorecard_rows([first, second])
        if row["run"] and row["run"]["chapter"] == first["chapter"]
    ]
    assert len(rows) == 2 * len(first["claims"])
    silent = [row for row in rows if row["value"] is None]
    assert len(silent) == len(rows) - 4
    assert all(row["verdict"] == "not tested here" and row["note"] == f"not in {row['run']['run']}" for row in silent)
    held = verdict_picture.held(rows)
    assert (held.always, held.sometimes, held.never) == (1, 1, 1)
    assert held.claims == len(first["claims"]) and held.waiting == len(first["claims"]) - 3
    records = {(r["claim"], r["run"]): r for r in innercodes_site.export_rows([first, second])}
    assert (
        records[effects[0], "planted"]["note"] == "not in planted" and records[effects[0], "planted"]["value"] is None
    )
    assert records[effects[0], "planted"]["page"].endswith(f"--planted.html#{effects[0]}")
    assert records[effects[2], "default"]["page"] == "notebooks/02_sparse_interactions.html#the-record"
    assert records[effects[1], "default"]["page"].endswith(f"#{effects[1]}")
    # A run that judged nothing of a source has no line in its picture.
    nothing = [row for row in rows if row["run"] is second and row["value"] is None]
    assert "planted" not in verdict_picture.picture([row for row in rows if row["run"] is first] + nothing, "x")


def test_scorecard_rows_agree_with_their_words(site: Path, soup: Read) -> None:
    """What the filters look at is what the reader sees; a claim without a number says why."""
    for row in scorecard(site, soup):
        verdict = row.select_one(".ic-verdict").text
        assert row["data-verdict"] == verdict and verdict in claims.VERDICTS
        assert (verdict == "not tested here") != is_judged(row)
        if not is_judged(row):
            why = row.select_one(".ic-verdict").parent.text.removeprefix(verdict).strip(": ")
            assert why, row.th.text
        assert row["data-scale"] in (*parameters.PRESETS, "none")
        assert row["data-scale"] != "none" or not is_judged(row)


def test_tally_counts_the_scorecard(site: Path, soup: Read) -> None:
    """Per source and run, exact statements and effects of either scope apart; what no run judged counts as not tested."""
    counted: Counter = Counter()
    claimed: dict[str, set[str]] = {}
    for row in scorecard(site, soup):
        claimed.setdefault(row["data-paper"], set()).add(row.th.text.strip())
        if is_judged(row):
            run, scope = row.find_all("td")[-1].text.removesuffix(" (older than the chapter)").rsplit(", ", 1)
            counted[row["data-paper"], run, scope, row["data-verdict"]] += 1
    (tally,) = soup(site / "scorecard.html").select("[aria-label='verdicts per paper'] table")
    shown: Counter = Counter()
    for row in tally.select("tbody tr"):
        run, *cells, waiting = [cell.text for cell in row.find_all("td")]
        for scope, cell in zip(("identity", "same-setting", "analog"), cells, strict=True):
            for count, verdict in re.findall(r"(\d+) ([a-z ]+)", cell):
                shown[row.th.text, run, scope, verdict] += int(count)
        judged = sum(count for key, count in shown.items() if key[:2] == (row.th.text, run))
        assert int(waiting) == len(claimed[row.th.text]) - judged
    assert shown == counted


def test_the_first_page_says_what_the_scorecard_says(site: Path, soup: Read) -> None:
    """What held in every run, in some, in none, counted again from the scorecard's rows; the picture has all its marks."""
    verdicts: dict[str, dict[str, set[str]]] = {}
    theorems: set[str] = set()
    for row in scorecard(site, soup):
        name, judged = row.th.text.strip(), is_judged(row)
        verdicts.setdefault(row["data-paper"], {}).setdefault(name, set())
        if judged:
            verdicts[row["data-paper"]][name].add(row["data-verdict"])
            if ", identity" in row.find_all("td")[-1].text:
                theorems.add(name)
    page = soup(site / "index.html")
    sections = page.select("section.ic-claimed")
    assert len(sections) == len(verdicts)
    total = Counter()
    for section, (source, found) in zip(sections, verdicts.items(), strict=True):
        effects = [v for name, v in found.items() if v and name not in theorems]
        always, never = sum(v == {"reproduced"} for v in effects), sum("reproduced" not in v for v in effects)
        text = section.select_one(".ic-held a").text
        expected = f"{len(effects)} effects, {always} held in every run, {len(effects) - always - never} in some, {never} in none"
        assert expected.lower() in text.lower()
        if source != "Inner Codes":
            total.update(effects=len(effects), always=always, never=never, claims=len(found))
        counted = Counter(
            (row["data-scale"], row["data-verdict"])
            for row in scorecard(site, soup)
            if row["data-paper"] == source and is_judged(row)
        )
        drawn = Counter()
        for title in section.select("svg.ic-verdicts title"):
            run, verdict = title.text.split(": ")
            drawn[run.split(", ")[1].split(" · ")[0], verdict] += 1
        assert {key: n for key, n in drawn.items() if key[1] != "not tested here"} == {
            key: n for key, n in counted.items() if key[1] != "not tested here"
        }
        assert sum(drawn.values()) % len(found) == 0
    words = page.select_one(".ic-sum").text
    numbers = ("claims", "claims,"), ("effects", " effects"), ("always", " held in every run"), ("never", " in none")
    for name, after in numbers:
        assert f"{total[name]} {after.strip()}" in words


def test_the_scorecard_comes_as_csv_and_json(site: Path, soup: Read) -> None:
    """A row of each file for each row that is shown, with the same verdict and number."""
    rows = scorecard(site, soup)
    folder = site / "_static" / "downloads"
    with (folder / "scorecard.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    records = json.loads((folder / "scorecard.json").read_text(encoding="utf-8"))
    assert len(rows) == len(lines) == len(records)
    for row, line, record in zip(rows, lines, records, strict=True):
        shown = (row.th.text.strip(), row["data-paper"], row["data-verdict"], row.get("data-value"))
        assert shown == (line["claim"], line["source"], line["verdict"], line["value"] or None)
        value = None if record["value"] is None else str(record["value"])
        assert shown == (record["claim"], record["source"], record["verdict"], value)
        assert (ROOT / record["claims_file"]).is_file()
    links = {link["href"] for link in soup(site / "scorecard.html").select(".ic-filters a[download]")}
    assert links == {f"_static/downloads/scorecard.{kind}" for kind in ("csv", "json")}


def test_each_claim_links_to_its_words_in_the_claims_file(site: Path, soup: Read) -> None:
    for row in scorecard(site, soup):
        (link,) = row.select("details a")
        path, anchor = link["href"].split("#")
        assert anchor == row.th.text.strip()
        heading = soup(site / path).find(id=anchor).find_parent("section")
        assert f"- id: {anchor}\n" in heading.select_one("pre").text


def test_a_recorded_run_stands_beside_the_quick_one() -> None:
    """Claim by claim, with verdict and number of both; what neither judged is left out."""
    names = list(claims.of_chapter("02_sparse_interactions"))[:5]
    good = {"value": 0.5, "ci": [0.25, 0.75], "verdict": "reproduced", "note": ""}
    partly, bad = good | {"value": 0.125, "verdict": "partly"}, good | {"value": -2.0, "verdict": "not reproduced"}
    live = made_run("default", "quick", {names[0]: good, names[1]: good, names[2]: good})
    run = made_run("planted", "imagenet", {names[0]: partly, names[1]: good, names[3]: bad})
    text, markup = stage.differences(run, live)
    rows = BeautifulSoup(markup, "html.parser").select("[aria-label='this run beside quick'] tbody tr")
    interval = " [0.25, 0.75]"
    assert [[cell.text for cell in row.find_all(["th", "td"])] for row in rows] == [
        [name, claims.of_chapter("02_sparse_interactions")[name]["statement"], *rest]
        for name, *rest in (
            (names[0], f"0.125{interval}", "partly", f"0.5{interval}", "reproduced", "other"),
            (names[1], f"0.5{interval}", "reproduced", f"0.5{interval}", "reproduced", "same"),
            (names[2], "–", "not tested here", f"0.5{interval}", "reproduced", "only quick"),
            (names[3], f"−2{interval}", "not reproduced", "–", "not tested here", "only this run"),
        )
    ]
    assert all(row.a["href"] == f"#{row.th.text}" for row in rows)
    words = BeautifulSoup(text, "html.parser").text
    assert "Both runs judged 2 claims, 1 of them with the same verdict." in words
    assert f"Another verdict: {names[0]}." in words
    assert "This run alone judged 1, the quick run alone 1." in words
    assert "Another verdict" not in stage.differences(live, live)[0]


def test_recorded_pages_say_how_they_differ(site: Path, page: str, soup: Read) -> None:
    if not page.startswith("results/"):
        return
    content = soup(site / page)
    rows = content.select("[aria-label='this run beside quick'] tbody tr")
    record = {
        row.th.text: [row.select_one(f"td[data-label='{label}']").text for label in ("Here", "Verdict")]
        for row in content.select("[aria-label='record of the claims that were judged'] tbody tr")
    }
    record = {name: (here, verdict.split(":")[0]) for name, (here, verdict) in record.items()}
    shown = {row.th.text: tuple(cell.text for cell in row.find_all("td")[1:3]) for row in rows}
    assert {name: pair for name, pair in shown.items() if pair[1] != "not tested here"} == record
    chapter = page.split("/")[-1].split("--")[0]
    assert content.select(f"article a[href='../../notebooks/{chapter}.html#summary']")


def test_pictures_have_a_size_before_they_are_drawn(site: Path, any_page: str, soup: Read) -> None:
    page = soup(site / any_page)
    drawn = page.select("article img, figure.ic-figure > svg, svg.ic-verdicts")
    assert [str(tag)[:200] for tag in drawn if not (tag.get("width") and tag.get("height"))] == []
    assert [str(tag)[:200] for tag in page.select(".ic-plotly") if "height:" not in tag.get("style", "")] == []


def test_terms_lead_to_the_glossary_once_a_chapter(site: Path, soup: Read) -> None:
    known = set(ids(soup(site / "glossary.html")))
    for notebook in NOTEBOOKS:
        page = soup(site / "notebooks" / f"{notebook.stem}.html")
        links = [link["href"] for link in page.select("article a[href*='glossary.html#term-']")]
        assert len(links) >= 10, notebook.stem
        assert [href for href, count in Counter(links).items() if count > 1] == []
        assert {href.split("#")[1] for href in links} <= known
        assert page.select("h1 a[href*=glossary], h2 a[href*=glossary], pre a[href*=glossary]") == []


def test_the_citation_is_shown_as_it_is(site: Path, soup: Read) -> None:
    shown = [pre.text.strip() for pre in soup(site / "references.html").select("pre")]
    assert (ROOT / "CITATION.cff").read_text(encoding="utf-8").strip() in shown


def test_pages_lead_on_and_back(site: Path, page: str, soup: Read) -> None:
    content = soup(site / page)
    assert bool(content.select(".prev-next-area a.left-prev")) == (page != "index.html")
    last = page == "references.html"
    assert bool(content.select(".prev-next-area a.right-next")) != last


def test_claims_in_chapters_carry_their_verdict(site: Path, page: str, soup: Read) -> None:
    for claim in soup(site / page).select(".ic-claim"):
        (badge,) = claim.select(".ic-verdict")
        assert badge.text in claims.VERDICTS


def test_downloads_are_the_notebooks(site: Path) -> None:
    folder = site / "_static" / "downloads"
    expected = {path.name: path.read_bytes() for path in NOTEBOOKS}
    assert {path.name: path.read_bytes() for path in folder.glob("*.ipynb")} == expected
    with zipfile.ZipFile(folder / "inner-codes-notebooks.zip") as archive:
        assert {Path(name).name: archive.read(name) for name in archive.namelist()} == expected


def test_each_chapter_offers_its_download(site: Path, soup: Read) -> None:
    for notebook in NOTEBOOKS:
        links = soup(site / "notebooks" / f"{notebook.stem}.html").select("a[download]")
        assert f"../_static/downloads/{notebook.name}" in [link["href"] for link in links]


def test_no_trace_of_the_machine(site: Path, pages_of: List) -> None:
    host = socket.gethostname()
    traces = [MACHINE_PATH, re.compile(re.escape(str(ROOT))), re.compile(re.escape(f"{Path.home()}/"))]
    if len(host) > 3 and host != "localhost":
        traces.append(re.compile(rf"\b{re.escape(host)}\b"))
    files = [site / page for page in pages_of(site)] + [site / "searchindex.js"]
    files += [
        path for folder in ("_sources", "_static/downloads") for path in (site / folder).rglob("*") if path.is_file()
    ]
    found = [
        f"{path.relative_to(site)}: …{text[max(0, hit.start() - 60) : hit.end() + 60]}…"
        for path in files
        if path.suffix != ".zip"
        for text in [path.read_text(encoding="utf-8")]
        for trace in traces
        for hit in [trace.search(text)]
        if hit
    ]
    assert found == []


def launchers(page: BeautifulSoup) -> list[str]:
    return [link["href"] for link in page.find_all("a", href=True) if any(host in link["href"] for host in LAUNCHERS)]


def test_launch_buttons_only_with_a_repository(site: Path, soup: Read) -> None:
    """A button that leads nowhere is worse than none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    given = bool(project.get("urls", {}).get("Repository"))
    for notebook in NOTEBOOKS:
        page = soup(site / "notebooks" / f"{notebook.stem}.html")
        assert bool(launchers(page)) == given
        assert bool(page.select(".dropdown-launch-buttons, .dropdown-source-buttons")) == given


REPOSITORY, ADDRESS = "https://github.com/example/inner-codes", "https://example.github.io/inner-codes/"


def publish(root: Path) -> SimpleNamespace:
    """Build the site as it will be published: with addresses, and with a recorded run (the quick one under another name)."""
    for name in ("_config.yml", "_toc.yml", "book", "notebooks", "CITATION.cff"):
        (root / name).symlink_to(ROOT / name)
    (root / "_build").mkdir()
    (root / "_build" / "runs").symlink_to(ROOT / "_build" / "runs")
    project, count = re.subn(
        r"^\[project\.urls\]\n(\w+ = .*\n)*",
        f'[project.urls]\nRepository = "{REPOSITORY}"\nSite = "{ADDRESS}"\n',
        (ROOT / "pyproject.toml").read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    assert count == 1
    (root / "pyproject.toml").write_text(project, encoding="utf-8")
    chapter = runs.chapters()[0]
    record(root, chapter)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "ROOT", root)
        patch.setattr(build_site, "BUILD", root / "_build")
        assert build_site.main() == 0
    return SimpleNamespace(
        site=root / "_build" / "html",
        chapter=f"notebooks/{chapter}",
        record=f"results/imagenet/{chapter}--planted.html",
    )


@pytest.mark.parametrize("address", ["", ADDRESS])
def test_the_printed_book_is_linked_where_there_is_one(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workflow puts it where the link leads; without an address nothing is linked."""
    urls = f'[project.urls]\nSite = "{address}"\n' if address else ""
    (tmp_path / "pyproject.toml").write_text(f"[project]\nversion = '1'\n{urls}", encoding="utf-8")
    shutil.copy(ROOT / "book" / "rerun.md", tmp_path)
    monkeypatch.setattr(stage, "ROOT", tmp_path)
    stage.link_pdf(tmp_path / "rerun.md")
    text = (tmp_path / "rerun.md").read_text(encoding="utf-8")
    assert (f"]({ADDRESS}{stage.PDF})" in text) == bool(address)
    assert text.replace(f"[The printed book]({ADDRESS}{stage.PDF}) comes with the site. ", "") == (
        ROOT / "book" / "rerun.md"
    ).read_text(encoding="utf-8")
    assert f"_build/html/{stage.PDF}" in (ROOT / ".github" / "workflows" / "pages.yml").read_text(encoding="utf-8")


def record(root: Path, chapter: str) -> None:
    """Store the quick run of a chapter below results/ as one of another scale, made with other code."""
    folder = ROOT / runs.Key("quick", chapter, "default").folder
    assert folder.is_dir(), f"{chapter} was not run: run `make book` first"
    # The other recorded runs would only take time.
    shutil.copytree(ROOT / "results" / "benchmarks", root / "results" / "benchmarks")
    content = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    content |= {"preset": "imagenet", "run": "planted"}
    content["parameters"] |= {"preset": "imagenet", "run": "planted"}
    content["provenance"]["source_hash"] = "0" * 16
    judged = claims.of_chapter(chapter)
    for row in content["claims"]:
        if "op" not in judged[row["id"]]["scales"]["imagenet"]:
            row |= {
                "value": None,
                "ci": None,
                "baseline": None,
                "verdict": "not tested here",
                "note": "not at this scale",
            }
    notebook = runs.figures_only(nbformat.read(folder / "chapter.ipynb", as_version=4))
    target = root / "results" / "imagenet" / f"{chapter}--planted.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(content), encoding="utf-8")
    target.with_suffix(".ipynb").write_text(nbformat.writes(notebook), encoding="utf-8")


def test_published_site(tmp_path: Path, pages_of: List, site: Path, soup: Read) -> None:
    """One build, because it takes its time: buttons with the right addresses, and a recorded run under its chapter."""
    built = publish(tmp_path)
    chapter, recorded = soup(built.site / f"{built.chapter}.html"), soup(built.site / built.record)

    hrefs = [link["href"] for link in chapter.find_all("a", href=True)]
    assert (ROOT / f"{built.chapter}.ipynb").is_file()
    assert f"https://colab.research.google.com/github/example/inner-codes/blob/main/{built.chapter}.ipynb" in hrefs
    assert f"https://mybinder.org/v2/gh/example/inner-codes/main?urlpath=lab/tree/{built.chapter}.ipynb" in hrefs
    assert REPOSITORY in hrefs
    assert any(href.startswith(f"{REPOSITORY}/issues/new") for href in hrefs)
    assert chapter.find("link", rel="canonical")["href"] == f"{ADDRESS}{built.chapter}.html"

    made = pages_of(built.site)
    assert {page for page in pages_of(site) if not page.startswith("results/")} | {built.record} == set(made)
    broken = {page: broken_links(built.site, page, soup) for page in made}
    assert {page: links for page, links in broken.items() if links} == {}

    assert chapter.select(f"article a[href$='{built.record}']")
    captions = [[figure.figcaption.text for figure in figures(page)] for page in (chapter, recorded)]
    assert captions[0] == captions[1]
    for check in (test_figures_say_where_they_come_from, test_ids_are_unique, test_pictures_have_alt_text):
        check(built.site, built.record, soup)
    assert recorded.select("[aria-label='record of the claims that were judged'] tbody tr")
    for page in (chapter, recorded):
        assert any("made with other code" in banner.text for banner in page.select(".admonition.warning"))
    rows = [row for row in scorecard(built.site, soup) if "planted" in row.find_all("td")[-1].text]
    assert rows and all("older than the chapter" in row.text for row in rows)
