"""The page in a real browser: it draws, filters, sorts, links, and runs no foreign text.

Needs Chromium and Playwright's package; skipped without them.
"""

import shutil

import pytest

import finished_pages
import finished_runs
from tiny_llama import write_tokenizer
from tmap.page import compared, html

playwright = pytest.importorskip("playwright.sync_api", reason="no playwright package")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on the PATH")

PLANTED = "document.title = 'planted'"
HOSTILE = [
    f"<script>{PLANTED}</script>",
    f"</script><script>{PLANTED}</script>",
    f'<img src=x onerror="{PLANTED}"><svg onload="{PLANTED}">',
    "{{ 7 * 7 }} {% for x in y %} ${7 * 7} {#",
    "<!-- <script> --> ]]> &lt;b&gt; &#60;",
    "\u202eright to left\u202c \u2066\u2067 \u05e9\u05dc\u05d5\u05dd",
    "line\u2028separator\u2029 zero\u200bwidth \ufeff",
    "\"'`\\u003c/script\\u003e \\ \t",
    "javascript:alert(1) =HYPERLINK(1) @SUM(1)",
    "😀 e\u0301 \u0000\u0007",
]
SECTIONS = "methods search indicators samples subsets questions rejected provenance"


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        # Chromium's sandbox does not run as root, as in a container.
        found = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A page of 400 rows whose first rows and questions are hostile."""
    folder = tmp_path_factory.mktemp("page")
    texts = [(text, f"{text} 1") for text in HOSTILE]
    texts.append(("x" * 1_000_000, "a" + "<b>" * 100_000))
    return finished_pages.page(
        folder,
        write_tokenizer(folder / "tokenizer"),
        n=400,
        texts=texts,
        questions=HOSTILE,
    )


def opened(browser, path):
    """A page; `said` and `asked` collect its complaints and requests."""
    tab = browser.new_page(viewport={"width": 1200, "height": 900})
    tab.said, tab.asked, tab.address = [], [], path.as_uri()
    tab.on("console", lambda message: tab.said.append(message.text))
    tab.on("pageerror", lambda fault: tab.said.append(str(fault)))
    tab.on("request", lambda request: tab.asked.append(request.url))
    open_at(tab, "")
    return tab


@pytest.fixture(scope="module")
def tab(browser, made):
    """The page of a run, opened once."""
    tab = opened(browser, made[0])
    yield tab
    tab.close()


@pytest.fixture
def two(browser, tmp_path):
    """The page about two runs on one pool; the questions are hostile."""
    sides = []
    for letter, how in (("A", "minmax"), ("B", "rank")):
        methods = finished_pages.METHODS if letter == "A" else ("random", "tmap")
        finished_pages.write(
            tmp_path / letter, questions=HOSTILE, normalise=how, methods=methods
        )
        path = tmp_path / letter / finished_runs.ROOM / "metrics.json"
        sides.append(compared.Side.read(letter, path))
    path = tmp_path / "compare.html"
    content = compared.build(*sides)
    path.write_text(html.render(content, html.COMPARISON), encoding="utf-8")
    tab = opened(browser, path)
    yield tab
    assert tab.title() == "toy, small and toy, small: tmap"
    assert tab.said == []
    assert {url.partition("#")[0] for url in tab.asked} == {tab.address}
    tab.close()


@pytest.fixture
def page(tab):
    """The page as it was opened; it asks for nothing and complains of nothing."""
    tab.set_viewport_size({"width": 1200, "height": 900})
    if tab.locator("dialog[open]").count():
        tab.keyboard.press("Escape")
    tab.select_option("#filter", "all")
    tab.fill("#find", "")
    playwright.expect(tab.locator("#samples [role=status]")).to_have_text(
        "400 of 400 rows. "
    )
    yield tab
    assert tab.title() == "toy, small: tmap"
    assert tab.said == []
    assert {url.partition("#")[0] for url in tab.asked} == {tab.address}


def open_at(tab, anchor):
    tab.goto("about:blank")
    tab.goto(tab.address + anchor)
    tab.wait_for_selector("html[data-ready]", state="attached")


def first_cells(tab, column):
    """Texts of one column of the first visible rows, as they are drawn."""
    return tab.evaluate(
        """(column) => [...document.querySelectorAll('.virtual .row')]
          .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).slice(0, 12)
          .map((row) => row.children[column].textContent)""",
        column,
    )


def rows_said(tab):
    return int(
        tab.text_content("#samples [role=status]").split(" of ")[0].replace(",", "")
    )


def test_every_section_is_drawn(page):
    for name in SECTIONS.split():
        assert page.locator(f"#{name} .body > *").count() > 0, name
    assert page.locator("h1").text_content()
    assert page.locator("#methods svg .dot").count() == 2
    assert page.locator("#search svg .dot").count() >= 8
    assert page.locator("#indicators svg").count() == 3
    assert "flattened" in page.text_content("#indicators")
    assert page.locator(".virtual .row").count() > 10
    assert page.locator("details.question").count() > 0
    for text in ("[object", "undefined", "NaN"):
        assert text not in page.inner_text("main"), text


def test_rows_are_filtered_and_sorted(page):
    assert rows_said(page) == 400
    page.select_option("#filter", "chosen")
    assert rows_said(page) == 120
    assert set(first_cells(page, 0)) == {"✓"}
    assert first_cells(page, 1)[:3] == ["1", "2", "3"]

    page.click(".virtual .head button:has-text('output_length')")
    lengths = [float(text.replace(",", "")) for text in first_cells(page, 5)]
    assert lengths == sorted(lengths, reverse=True)
    page.click(".virtual .head button:has-text('output_length')")
    lengths = [float(text.replace(",", "")) for text in first_cells(page, 5)]
    assert lengths == sorted(lengths)


def test_two_subsets_are_told_apart(page, made):
    _, found = made
    names = found["subsets"]["names"]
    a, b = names.index("tmap s0"), names.index("uniform s0")
    page.select_option("#filter", "only here, not in")
    page.select_option("#other", str(b))

    assert rows_said(page) == 120 - found["subsets"]["shared"][a][b]


def test_texts_and_ids_are_searched(page):
    rows = playwright.expect(page.locator(".virtual .row"))
    page.fill("#find", "row-000123")
    rows.to_have_count(1)
    page.fill("#find", "{{ 7 * 7 }}")
    rows.to_contain_text(["row-000003"])  # waits: the search follows the typing
    rows.to_have_count(1)
    assert first_cells(page, 2) == ["row-000003"]


def test_a_row_opens_by_link_and_shows_why(page):
    open_at(page, "#row=row-000042&subset=uniform%20s0")

    drawer = page.locator("dialog[open]")
    assert drawer.locator("h3").first.text_content() == "row-000042"
    assert "uniform s0" in drawer.text_content()
    assert drawer.locator(".bars .fill").count() == 3
    assert drawer.locator(".trained .loss").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    assert page.evaluate("location.hash") == "#samples"


def test_the_keyboard_is_enough(page):
    page.focus(".virtual")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    third = page.locator("dialog[open] h3").first.text_content()
    page.keyboard.press("ArrowRight")
    assert page.locator("dialog[open] h3").first.text_content() != third
    page.keyboard.press("Escape")
    page.focus(".virtual")
    page.keyboard.press("End")
    page.wait_for_selector('[aria-rowindex="401"].at')


def test_hostile_text_stays_text(page):
    drawer = page.locator("dialog[open]")
    for number, text in enumerate(HOSTILE):
        page.evaluate("(hash) => { location.hash = hash; }", f"#row=row-{number:06d}")
        playwright.expect(drawer.locator("h3").first).to_have_text(f"row-{number:06d}")
        assert text.strip() in drawer.locator(".trained").text_content()
        assert drawer.locator("img, script, svg, iframe, b").count() == 0


def test_a_text_of_a_million_characters_is_cut_and_says_so(page):
    page.evaluate("(hash) => { location.hash = hash; }", f"#row=row-{len(HOSTILE):06d}")

    text = page.locator("dialog[open]").text_content()
    assert "are cut off" in text
    assert len(text) < 50_000


def test_a_hostile_question_stays_text(page):
    page.select_option("#questions select >> nth=0", "all")
    page.fill("#questions input", "</script>")
    page.locator("details.question[data-id='q0001'] summary").click()
    said = page.locator("details.question[data-id='q0001'] .said").first.text_content()
    assert said == HOSTILE[1]


def test_an_unknown_row_is_said_to_be_unknown(page):
    page.evaluate("location.hash = '#row=row-999999'")
    assert page.text_content(".toast") == "That row is not in this page"


def test_a_phone_shows_it_without_sideways_scrolling(page):
    page.set_viewport_size({"width": 380, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 380


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_ink_and_paper_differ_enough_to_read(browser, made, scheme):
    tab = browser.new_page(color_scheme=scheme)
    tab.goto(made[0].as_uri())
    ink, paper = tab.evaluate(
        """() => ['color', 'backgroundColor'].map((name) =>
          getComputedStyle(document.body)[name].match(/[0-9]+/g).slice(0, 3).map(Number))"""
    )
    tab.close()

    def luminance(colour):
        part = [
            v / 3294.6 if v < 11 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in colour
        ]
        return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2]

    low, high = sorted([luminance(ink), luminance(paper)])
    assert (high + 0.05) / (low + 0.05) > 7  # WCAG's AAA
    assert (luminance(ink) < luminance(paper)) == (scheme == "light")


def test_two_runs_are_compared_on_one_page(two):
    for name in html.COMPARISON.sections:
        assert two.locator(f"#{name} .body > *").count() > 0, name
    for text in ("[object", "undefined", "NaN"):
        assert text not in two.inner_text("main"), text
    assert two.locator("h1").text_content().startswith("tmap ")
    assert two.locator("#methods svg").count() == 2
    setting = two.locator("#settings tbody tr", has_text="tmap").locator("td")
    assert setting.all_text_contents()[:4] == [
        "normalise",
        "tmap",
        '"minmax"',
        '"rank"',
    ]
    assert "Only in A: select_subset of uniform." in two.text_content("#settings")
    # Rows are A's subsets, columns B's: random s0, random s1, tmap s0.
    assert two.locator("#subsets tbody tr").count() == 4
    assert two.locator("#subsets tbody tr").first.locator("td").count() == 3
    assert "two draws would share 36" in two.text_content("#subsets")
    two.set_viewport_size({"width": 380, "height": 800})
    assert two.evaluate("document.documentElement.scrollWidth") <= 380


def test_questions_won_and_lost_between_two_runs_stay_text(two):
    assert "Against A: tmap, B: tmap answers" in two.text_content("#questions")
    two.select_option("#questions select >> nth=0", "all")
    for number, text in enumerate(HOSTILE[:3]):
        question = two.locator(f"details.question[data-id='q{number:04d}']")
        question.locator("summary").click()
        assert question.locator(".said").first.text_content() == text
        assert question.locator("tbody tr").count() == 10 + 6  # runs of A and B
