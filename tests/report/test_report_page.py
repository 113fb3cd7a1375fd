"""The page itself: complete, safe, the same bytes again, and quiet in a real browser."""

import html
import os
import re
from pathlib import Path

import pytest
from headless import CHROMIUM, Chromium
from report_cases import ATTRIBUTE, CORE, HOSTILE, bench, board, hostile, planned, verify

from thimble.errors import DataError
from thimble.plan.make import make_plan
from thimble.report.data import report_data
from thimble.report.write import render_report, write_report

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

# every text against what it stands on (WCAG 2.1, 1.4.3), and the colours of text inside of the map's boxes
_CONTRAST = """(() => {
  const rgb = c => c.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const linear = v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = c => rgb(c).map(v => linear(v / 255))
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const paper = getComputedStyle(document.body).backgroundColor;
  const worst = [];
  for (const e of document.body.querySelectorAll('*')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    if (e.closest('title, desc')) continue;
    const style = getComputedStyle(e);
    const inside = e.classList.contains('inside');
    const ground = inside ? getComputedStyle(e.parentNode.querySelector('rect')).fill : paper;
    worst.push([ratio(e.closest('svg') ? style.fill : style.color, ground), e.outerHTML.slice(0, 80)]);
  }
  return worst.sort((a, b) => a[0] - b[0]).slice(0, 3);
})()"""
_FACTS = """(() => {
const all = selector => [...document.querySelectorAll(selector)];
const named = e => e.getAttribute('aria-label') || e.getAttribute('aria-labelledby');
return {
  title: document.title,
  layers: all('#layers tbody th .name').map(e => e.textContent),
  steps: all('#steps tbody th .name').map(e => e.textContent),
  boxes: all('svg.map .box').length,
  scripts: document.scripts.length,
  handlers: all('*').filter(e => [...e.attributes].some(a => a.name.startsWith('on'))).length,
  captions: all('table').every(t => t.caption && t.caption.textContent.trim()),
  unscoped: all('th:not([scope])').length,
  unlabelled: all('svg').filter(e => !named(e)).length,
  dead: all('a').filter(a => !document.querySelector(a.getAttribute('href'))).length,
  twice: all('[id]').length - new Set(all('[id]').map(e => e.id)).size,
  wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
}})()"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("report")
    plan = planned()
    strange = make_plan(hostile(), CORE)
    counts = bench(strange, CORE, HOSTILE, ATTRIBUTE)
    data = {
        "full": report_data(plan, board(), bench(plan, CORE, "cortex-m55", "rv32imac"), verify()),
        "bare": report_data(plan),
        "hostile": report_data(
            strange, None, counts, {"samples": 1, "targets": {HOSTILE: {"mismatches": 1}}}
        ),
    }
    return {name: write_report(facts, folder / f"{name}.html") for name, facts in data.items()}


@pytest.fixture(scope="module")
def browser():
    with Chromium() as chromium:
        yield chromium


@needs_chromium
@pytest.mark.parametrize("page", ["full", "bare", "hostile"])
@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 400)])
def test_quiet_whole_and_accessible(pages, browser, page, scheme, width):
    visit = browser.visit(pages[page], scheme=scheme, width=width, script=_FACTS)
    assert visit.requests == []
    assert visit.complaints == []
    found = visit.found
    plan = make_plan(hostile(), CORE) if page == "hostile" else planned()
    assert found["layers"] == [layer.name for layer in plan.graph.weighted]
    assert found["steps"] == [step.layer for step in plan.steps]
    assert found["boxes"] == len(plan.buffers)
    assert found["title"].startswith(plan.graph.name)
    assert found["scripts"] == found["handlers"] == found["unscoped"] == found["unlabelled"] == 0
    assert found["captions"]
    assert found["dead"] == found["twice"] == 0
    assert found["wide"] <= 0, "the page scrolls sideways"


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(pages, browser, scheme):
    worst = browser.visit(pages["full"], scheme=scheme, script=_CONTRAST).found
    assert worst[0][0] >= 4.5, worst


@needs_chromium
def test_themes_differ_and_the_page_prints(pages, browser):
    light = browser.visit(pages["full"], scheme="light", capture=True)
    dark = browser.visit(pages["full"], scheme="dark", capture=True)
    assert light.screenshot.startswith(b"\x89PNG")
    assert light.screenshot != dark.screenshot
    assert light.pdf.startswith(b"%PDF")
    assert len(light.pdf) > 10_000


@needs_chromium
def test_the_harness_sees_errors_and_requests(tmp_path, browser):
    page = tmp_path / "bad.html"
    page.write_text(
        "<!doctype html><img src='http://127.0.0.1:9/a.png'><script>console.error('no'); x.y()</script>"
    )
    visit = browser.visit(page)
    assert visit.requests == ["http://127.0.0.1:9/a.png"]
    assert any("no" in text for text in visit.complaints)
    assert any("ReferenceError" in text for text in visit.complaints)


def test_nothing_outside_is_named(pages):
    for path in pages.values():
        content = re.sub(r"<wbr>", "", path.read_text())
        assert not re.search(
            r"(?:src|srcset|action)\s*=|url\(|@import|https?:", content.replace(html.escape(HOSTILE), "")
        )
        assert "<script" not in content
        assert set(re.findall(r'href="([^"]*)"', content)) <= {"data:,"} | set(
            re.findall(r'"(#[a-z]+)"', content)
        )


def test_numbers_of_the_plan_are_on_the_page(pages):
    plan = planned()
    content = pages["full"].read_text()
    for number in (plan.image_bytes, plan.arena_bytes, plan.graph.fp32_bytes // 4, 8123, 1234, 7_654_321):
        assert f"{number:,}" in content
    assert "99.08" in content
    assert "98.76" in content
    assert "bit for bit" in content


def test_what_was_not_measured_says_so(pages):
    content = pages["bare"].read_text()
    assert "not measured" in content
    assert "bit for bit over" not in content
    assert "No board was named" in content


def test_mismatches_are_loud():
    plan = planned()
    content = render_report(report_data(plan, verify=verify(mismatches=17)))
    assert "✗ differs" in content
    assert '<div class="tile bad">' in content


def test_a_model_that_does_not_fit_is_loud():
    plan = planned()
    counts = bench(plan, CORE)
    counts["targets"][CORE]["flash"]["code"] = 1 << 30
    content = render_report(report_data(plan, board(), counts))
    assert "does not fit" in content


def test_the_same_data_gives_the_same_bytes(tmp_path):
    first = write_report(report_data(planned()), tmp_path / "a.html").read_bytes()
    again = write_report(report_data(planned()), tmp_path / "b.html").read_bytes()
    assert first == again
    assert str(tmp_path).encode() not in first


def test_an_unwritable_place_is_one_clear_error(tmp_path):
    data = report_data(planned())
    with pytest.raises(DataError, match="TMB2071"):
        write_report(data, tmp_path / "missing" / "report.html")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(DataError, match="TMB2071"):
        write_report(data, tmp_path / "folder.html")
    assert os.listdir(tmp_path) == ["folder.html"]
