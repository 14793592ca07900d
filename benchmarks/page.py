"""Size and seconds of the results page for pools of several sizes, and of its table.

Prints JSON. `seconds`: processor time of all that `write_page` computes; `megabytes`: size
of the file; `rows_in_page` and `texts_at_most`: rows and texts in it. With Chromium
and Playwright's package also `ready_seconds`: from opening the file until it is drawn;
`sort_ms`: of all rows by a column; `frame_ms`: the median and the longest frame while the
table scrolls through its middle, 100 pixels a frame. Pools, columns and answers are made;
rows have about 690 characters.

    OMP_NUM_THREADS=1 python benchmarks/page.py
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
import finished_pages
from tmap.cards.model import PromptSection
from tmap.engines.weights import load_tokenizer
from tmap.page import document, html, samples
from tmap.prompts.renderer import Renderer

ROOT = Path(__file__).resolve().parents[1]
SCROLL = """async () => {
  const list = document.querySelector('.virtual'), steps = 60, frames = [];
  const middle = (list.scrollHeight - list.clientHeight) / 2;
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  for (let k = 1; k <= steps; k++) {
    const before = performance.now();
    list.scrollTop = middle + 100 * k;
    await frame(); await frame();
    frames.push((performance.now() - before) / 2);
  }
  frames.sort((a, b) => a - b);
  return [frames[steps / 2], frames[steps - 1]];
}"""
SORT = """async () => {
  const button = [...document.querySelectorAll('.virtual .head button')].at(-2);
  const before = performance.now();
  button.click();
  return performance.now() - before;
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[400, 20_000, 200_000])
    args = parser.parse_args()
    print(json.dumps([measured(n) for n in args.rows], indent=2))


def measured(n: int) -> dict[str, Any]:
    place = str(ROOT / "resources/models/tiny")
    record = {"path": place, "source": place, "trust_remote_code": False}
    with tempfile.TemporaryDirectory() as folder:
        metrics, files = finished_pages.write(Path(folder), n, 1000, words=85)
        renderer = Renderer(load_tokenizer(record), PromptSection(template="plain"))
        start = time.process_time()
        found = document.build(metrics, files, renderer, 1024)
        text = html.render(found)
        seconds = time.process_time() - start
        path = Path(folder) / "report.html"
        path.write_text(text, encoding="utf-8")
        n_chunks = len(found["samples"]["texts"])
        about = {
            "rows": n,
            "rows_in_page": found["samples"]["n"],
            "texts_at_most": min(n, samples.MOST_TEXTS, n_chunks * samples.CHUNK),
            "megabytes": round(path.stat().st_size / 1e6, 2),
            "seconds": round(seconds, 1),
        }
        return about | seen(path)


def seen(path: Path) -> dict[str, Any]:
    """What a browser takes; empty without one."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return {}
    if browser is None:
        return {}
    with sync_playwright() as driver:
        # Chromium's sandbox does not run as root, as in a container.
        opened = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = opened.new_page()
        start = time.perf_counter()
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]", state="attached", timeout=120_000)
        ready = time.perf_counter() - start
        sort = page.evaluate(SORT)
        median, longest = page.evaluate(SCROLL)
        opened.close()
    return {
        "ready_seconds": round(ready, 2),
        "sort_ms": round(sort),
        "frame_ms": [round(median, 1), round(longest, 1)],
    }


if __name__ == "__main__":
    main()
