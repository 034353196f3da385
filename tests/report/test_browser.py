"""The page in a real browser, without a network: nothing fails, nothing overflows, everything is drawn and printed."""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from made_report import REPRESENTATION, evaluate, make_results, report, write_answers
from made_run import CORPUS

from pipeline.store.folds import read_fold
from pipeline.store.paths import REPORT

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next((found for name in BROWSERS if (found := shutil.which(name))), "")
pytestmark = pytest.mark.skipif(not BROWSER, reason=f"no browser on PATH: install one of {', '.join(BROWSERS)}")

OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--allow-file-access-from-files",  # the frame writes into the page around it
)
LONG = {"anger": "anger of a rather long name, far longer than a label", "joy": "j" * 120, "neutral": "neutral"}

# Runs inside the page, in a frame as wide as a phone, and sends to the page around it what it measured.
INSPECTOR = """
<script>
addEventListener("load", () => {
  const wide = document.documentElement.clientWidth;
  const outside = [...document.body.querySelectorAll("*")].filter((one) => {
    if (one.closest(".scroll") && !one.matches(".scroll")) return false;
    const box = one.getBoundingClientRect();
    return box.right > wide + 0.5 || box.left < -0.5;
  }).map((one) => one.outerHTML.slice(0, 200));
  const crossing = [], cut = [], empty = [];
  for (const svg of document.querySelectorAll("svg")) {
    const own = svg.getBoundingClientRect(), box = svg.getBBox();
    if (!(own.width > 0 && own.height > 0 && box.width > 0)) empty.push(svg.outerHTML.slice(0, 200));
    const texts = [...svg.querySelectorAll("text")].map((text) => [text.textContent, text.getBoundingClientRect()]);
    texts.forEach(([said, a], i) => {
      if (a.left < own.left - 1 || a.right > own.right + 1 || a.bottom > own.bottom + 1 || a.top < own.top - 1)
        cut.push(said);
      texts.slice(i + 1).forEach(([other, b]) => {
        if (a.left < b.right && b.left < a.right && a.top + 2 < b.bottom && b.top + 2 < a.bottom)
          crossing.push(said + " | " + other);
      });
    });
  }
  // copies as plain images, which the load event waits for
  const pictures = [...document.querySelectorAll("img.copy")].map((one) => [one.naturalWidth, one.naturalHeight]);
  const drawn = [...document.querySelectorAll("svg image")].map((one) => one.getBoundingClientRect().width);
  const said = {wide, scrolls: document.documentElement.scrollWidth, outside, crossing, cut, empty, pictures, drawn,
                asked: performance.getEntriesByType("resource").map((one) => one.name)
                  .filter((name) => !name.startsWith("data:"))};
  parent.document.getElementById("said").textContent = JSON.stringify(said);
});
</script>
"""
AROUND = """<!doctype html><title>around</title><body style="margin:0"><pre id="said"></pre>
<iframe src="inside.html" style="width:{width}px;height:800px;border:0"></iframe>
"""


def browse(folder, *options, page):
    done = subprocess.run(
        [BROWSER, *OPTIONS, f"--user-data-dir={folder / 'profile'}", *options, page.as_uri()],
        env={**os.environ, "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    spoken = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert spoken == [], "the page says something in the console"
    return done.stdout


def inspect(folder, *, width):
    """What the page measures of itself in a frame of `width` pixels."""
    text = REPORT.read_text(encoding="utf-8")
    copies = [
        f'<img class="copy" alt="" hidden src="{uri}">' for uri in re.findall(r'<image [^>]*href="([^"]+)"', text)
    ]
    inside = text.replace("</body>", f"{''.join(copies)}{INSPECTOR}</body>")
    (folder / "inside.html").write_text(inside, encoding="utf-8")
    around = folder / "around.html"
    around.write_text(AROUND.format(width=width), encoding="utf-8")
    dump = browse(folder, "--dump-dom", "--window-size=1400,900", page=around)
    return json.loads(html.unescape(re.search(r'<pre id="said">(.*?)</pre>', dump, re.S)[1]))


@pytest.fixture(params=["few", "many"])
def page(request, tmp_path, monkeypatch):
    """Two pages: a plain one, and one with long names, many classes, members and a validation side."""
    monkeypatch.chdir(tmp_path)
    if request.param == "few":
        wrong = {f"{CORPUS}/anger0.wav@{start}": [0.2, 0.7, 0.1] for start in (0, 1000, 2000)}
        make_results(monkeypatch, answer=wrong)
        report()
        return tmp_path
    classes = (*LONG.values(), *(f"class {letter}" for letter in "abcdefghijklmnopq"))
    to_20_khz = {**REPRESENTATION, "max_hz": 20000.0, "n_bands": 257}
    make_results(monkeypatch, classes=classes, folds=(0,), members=("a", "b"), representation=to_20_khz)
    for member in ("a", "b"):
        write_answers(0, read_fold(0), member, validation=True, loss=0.0002, selected_on_test=True)
    evaluate(folds=(0,), members=("a", "b"))
    report(members=("a", "b"))
    return tmp_path


@pytest.mark.parametrize("width", [360, 1200])
def test_everything_is_drawn_and_nothing_overflows(page, width):
    said = inspect(page, width=width)
    assert said["wide"] == width
    assert said["scrolls"] <= width
    assert said["outside"] == []
    assert said["empty"] == []
    assert said["crossing"] == [], "labels that lie over one another"
    assert said["cut"] == [], "labels that reach out of their figure"
    assert said["asked"] == [], "the page asked for something outside itself"
    assert len(said["pictures"]) == len(said["drawn"]) >= 6
    assert all(natural_width > 0 and natural_height > 0 for natural_width, natural_height in said["pictures"])
    assert min(said["drawn"]) > 0


def test_the_page_prints(page):
    out = page / "page.pdf"
    browse(page, f"--print-to-pdf={out}", "--no-pdf-header-footer", page=Path(page / REPORT))
    data = out.read_bytes()
    assert data.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", data)) >= 3
