"""The page in headless Chromium: no error, no request, no sideways scrolling on a phone."""

import json
import re
import shutil
import subprocess

import pytest

from tailwise.report import render

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not on this machine: apt-get install chromium")

_FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --disable-dev-shm-usage --enable-logging=stderr""".split()  # noqa: SIM905
# Frames of phones' widths, since a window cannot be that narrow; their pages are measured from outside.
_MEASURE = """<!doctype html><body><iframe style="width:320px;height:800px;border:0"></iframe>
<iframe style="width:390px;height:800px;border:0"></iframe><script>
const found = [];
for (const frame of document.querySelectorAll("iframe")) frame.onload = () => {
  const page = frame.contentDocument, width = page.documentElement.clientWidth;
  const entries = frame.contentWindow.performance.getEntriesByType("resource");
  const pushed = e => !e.closest("svg") && e.getBoundingClientRect().right > width + 0.5;
  const flat = e => !e.closest("details:not([open])") && e.getBoundingClientRect().width < 40;
  found.push({
    scroll: page.documentElement.scrollWidth - width,
    wide: [...page.querySelectorAll("main *")].filter(pushed).slice(0, 3).map(e => e.className || e.tagName),
    flat: [...page.querySelectorAll("svg")].filter(flat).length,
    sections: page.querySelectorAll("section").length,
    requests: entries.filter(e => !e.name.startsWith("data:")).length,
  });
  document.title = JSON.stringify(found);
}, frame.src = "report.html";
</script></body>"""


def test_phone(report, tmp_path):
    page = render(report)
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    (tmp_path / "phone.html").write_text(_MEASURE, encoding="utf-8")
    dom, errors = _browse(tmp_path, "phone.html", "--allow-file-access-from-files", "--dump-dom")
    found = json.loads(re.search(r"<title>(.*?)</title>", dom).group(1))
    assert found == 2 * [{"scroll": 0, "wide": [], "flat": 0, "sections": page.count("<section"), "requests": 0}]
    assert not [line for line in errors if "CONSOLE" in line]


@pytest.mark.parametrize("report", ["ten", "sets"], indirect=True)
def test_dark_and_light_differ(tmp_path, report):
    pictures = {}
    (tmp_path / "report.html").write_text(render(report), encoding="utf-8")
    for name, scheme in (("dark", 0), ("light", 1)):
        shot = tmp_path / f"{name}.png"
        _, errors = _browse(
            tmp_path,
            "report.html",
            f"--blink-settings=preferredColorScheme={scheme}",
            "--window-size=1200,800",
            f"--screenshot={shot}",
        )
        assert not [line for line in errors if "CONSOLE" in line]
        pictures[name] = shot.read_bytes()
    assert pictures["dark"] != pictures["light"]
    assert min(map(len, pictures.values())) > 5000


def _browse(folder, file, *flags):
    """Open a file and return the standard output and the lines of the log."""
    done = subprocess.run(
        [CHROMIUM, *_FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, (folder / file).as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout, done.stderr.splitlines()
