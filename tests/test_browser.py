"""The widgets in a real browser: JupyterLab, opened by `rstar-mini lab`, in headless Chromium.

Only with `-m browser`; needs `pip install -e ".[browser]"` and Chromium. Screenshots stay in `build/screenshots/`.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

from rstar_mini.files import read_json
from rstar_mini.paths import data_file
from rstar_mini.types import Tree

ROOT = Path(__file__).parent.parent
SCREENSHOTS = ROOT / "build" / "screenshots"
TOKEN = "for-the-test"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LAPTOP = 900  # pixels, as in tests/test_pictures.py
SLOW = 90_000  # milliseconds that a busy machine may take to start a kernel
CELLS = [
    """from rstar_mini.policy import ScriptedPolicy
from rstar_mini.sandbox import Sandbox
from rstar_mini.search import Budget, Expander, search
from rstar_mini.types import Problem
from rstar_mini.code_cot import split_steps, write_solution
from rstar_mini.show.explore import explore
from rstar_mini.show.stepper import step_through
cups = Problem("cups", "A cup costs $4 and a pen $3. What do 2 cups and 5 pens cost?", "23")
def recite(question, text):
    if not text: return [f"<code>\\ncups = {c}\\n<end_of_step>" for c in ("2 * 4", "2 + 4", "2 * cup")]
    if text.endswith("<end_of_step>"): return [f"\\nprint({c})\\n<end_of_code>" for c in ("cups + 15", "cups + 8")]
    return [f"<answer>\\\\boxed{{{text.split('<output>')[1].split('<')[0]}}}<end_of_answer>"]""",
    """box = Sandbox()
[tree] = search([cups], Expander(ScriptedPolicy(recite), box), Budget(candidates=3, rollouts=3))
explore(tree)""",
    """fast = explore(tree)
fast.play.interval = 40
fast""",
    """step_through(split_steps(write_solution([("Cups", "cups = 2 * 4")], "cups", "8")), box)""",
    """from rstar_mini.paths import data_file
from rstar_mini.ppm import preference_pairs
from rstar_mini.show.dashboard import dashboard
from rstar_mini.show.loop import loop_figure
from rstar_mini.show.pairs import compare_pairs
pairs = preference_pairs([tree])[:1]
compare_pairs(pairs, [([0.7], [-0.9]) if not pair.final else ([0.7] * 3, [-0.9] * 3) for pair in pairs])""",
    "loop_figure()",
    """dashboard(data_file("results/tiny"))""",
]

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab that `rstar-mini lab` started in a folder with a copy of the notebooks."""
    if not CHROMIUM:
        pytest.skip('no Chromium here; install the package "chromium" of your system')
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
    nbformat.write(notebook, folder / "notebooks" / "widgets.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"JUPYTER_CONFIG_DIR": str(folder / "config"), "JUPYTER_DATA_DIR": str(folder / "data")}
    options = ["--no-browser", f"--ServerApp.port={port}", f"--IdentityProvider.token={TOKEN}", "--allow-root"]
    command = [sys.executable, "-m", "rstar_mini.cli", "lab", *options]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            deadline = time.monotonic() + SLOW / 1000
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/api?token={TOKEN}").close()
                    break
                except OSError:
                    assert server.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
                    time.sleep(0.3)
            yield f"http://127.0.0.1:{port}/lab/tree", f"?reset&token={TOKEN}"
        finally:
            os.killpg(server.pid, 15)
            server.wait()


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason='needs: pip install -e ".[browser]"')
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page = browser.new_page(viewport={"width": 1400, "height": 1400})
    page.set_default_timeout(SLOW)
    page.add_locator_handler(page.get_by_role("button", name="Select Kernel"), lambda select: select.click())
    yield page
    page.close()


def run_all(page, lab, name, theme="JupyterLab Light"):
    root, query = lab
    settings = root.replace("/lab/tree", "/lab/api/settings/@jupyterlab/apputils-extension:themes") + f"?token={TOKEN}"
    assert page.request.put(settings, data={"raw": f'{{"theme": "{theme}"}}'}).ok
    page.goto(f"{root}/{name}{query}")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def explorers(page):
    shown = page.locator(".jp-OutputArea-output:has(.rstar-tree)")
    shown.nth(1).locator("[role=img]").wait_for()
    return shown.nth(0), shown.nth(1)


def test_the_explorer_begins_at_rollout_0_and_answers_to_the_keyboard(page, lab):
    run_all(page, lab, "widgets.ipynb")
    explorer, _ = explorers(page)
    explorer.get_by_role("img", name="rollout 0 of 3").wait_for()
    assert explorer.locator("[data-node]").count() == 1 and "before the first rollout" in explorer.inner_text()

    rollouts, nodes = explorer.get_by_role("slider").nth(0), explorer.get_by_role("slider").nth(1)
    rollouts.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    explorer.get_by_role("img", name="rollout 2 of 3").wait_for()
    assert "this rollout (orange)" in explorer.inner_text()

    page.keyboard.press("Tab")  # the rings over the nodes are no stops
    assert nodes.evaluate("slider => slider === document.activeElement")
    page.keyboard.press("ArrowRight")
    panel = explorer.get_by_label("the chosen node")
    panel.get_by_text("cups = 2 * 4").wait_for()
    assert re.search(r"N \(visits\)\s+1", panel.inner_text())
    assert "Q + 2 √(ln 2 / 1)" in panel.inner_text()

    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")  # the play button is the first stop
    explorer.get_by_role("img", name="rollout 3 of 3").wait_for()


def test_a_click_on_a_node_opens_it(page, lab):
    run_all(page, lab, "widgets.ipynb")
    explorer, _ = explorers(page)
    explorer.get_by_role("slider").first.focus()
    page.keyboard.press("End")
    explorer.get_by_role("img", name="rollout 3 of 3").wait_for()
    for text in ("cups = 2 + 4", "cups = 2 * 4"):
        box = explorer.locator(f"[data-node]:has-text('{text}') circle").bounding_box()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        explorer.get_by_label("the chosen node").get_by_text(text).wait_for()
    ring = explorer.locator(".rstar-tree .mod-info").bounding_box()  # the ring lies around the node
    assert abs(ring["x"] + ring["width"] / 2 - box["x"] - box["width"] / 2) < 2
    assert abs(ring["y"] + ring["height"] / 2 - box["y"] - box["height"] / 2) < 2


WATCH = """explorer => new Promise(done => {
  const seen = [], end = performance.now() + 30000;
  const look = () => {
    const nodes = explorer.querySelectorAll("[data-node]").length;
    seen.push([explorer.querySelector("svg text").textContent, nodes]);
    seen.at(-1)[0] === "rollout 3 of 3" || performance.now() > end ? done(seen) : requestAnimationFrame(look);
  };
  look();
})"""


def test_a_picture_is_never_behind_its_number_however_fast_it_plays(page, lab):
    run_all(page, lab, "widgets.ipynb")
    explorer, fast = explorers(page)
    explorer.get_by_role("slider").first.focus()
    sizes = {}
    for number in range(4):
        explorer.get_by_role("img", name=f"rollout {number} of 3").wait_for()
        sizes[f"rollout {number} of 3"] = explorer.locator("[data-node]").count()
        page.keyboard.press("ArrowRight")
    assert len(set(sizes.values())) > 2
    fast.locator("button").first.click()
    seen = fast.evaluate(WATCH)
    assert seen[-1][0] == "rollout 3 of 3" and {number for number, _ in seen} <= sizes.keys()
    assert [(number, nodes) for number, nodes in seen if sizes[number] != nodes] == []


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_everything_can_be_read_on_a_light_and_a_dark_page(page, lab, theme):
    run_all(page, lab, "widgets.ipynb", theme)
    explorer, _ = explorers(page)
    explorer.get_by_role("slider").first.focus()
    page.keyboard.press("End")
    explorer.get_by_role("img", name="rollout 3 of 3").wait_for()
    explorer.get_by_role("slider").nth(1).focus()
    page.keyboard.press("ArrowRight")
    explorer.get_by_label("the chosen node").get_by_text("cups = 2 * 4").wait_for()
    page.get_by_text("PPM -0.90").first.wait_for()
    page.get_by_text("costs $4 and a pen $3").last.wait_for()  # dollars are no formula
    page.get_by_text("4 of 4 finished").wait_for()
    name = theme.split()[1].lower()
    for part, shown in {
        "explorer": explorer,
        "pairs": page.locator(".jp-OutputArea-output:has-text('PPM -0.90')").last,
        "loop": page.locator(".jp-OutputArea-output:has(img[alt^='The loop'])"),
        "dashboard": page.locator(".jp-OutputArea-output:has-text('4 of 4 finished')"),
    }.items():
        shown.scroll_into_view_if_needed()
        shown.screenshot(path=SCREENSHOTS / f"{part}-{name}.png")
        assert [look for look in shown.evaluate(CONTRASTS) if look["contrast"] < 4.5] == [], part


# Of every text: its contrast with the nearest background that is not transparent (WCAG asks for 4.5).
CONTRASTS = """shown => {
  const rgba = text => { const n = text.match(/[\\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] ?? 1]; };
  const over = (top, under) => [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3]));
  const luminance = c => { const l = c.slice(0, 3).map(v => { v /= 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2]; };
  const paper = element => {
    if (!element) return [255, 255, 255];
    const own = rgba(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, paper(element.parentElement));
  };
  const texts = document.createTreeWalker(shown, NodeFilter.SHOW_TEXT), found = [];
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement, svg = element.closest("text");
    if (!texts.currentNode.textContent.trim() || element.closest("style") || !element.getClientRects().length) continue;
    const style = getComputedStyle(element), ink = rgba(svg ? style.fill : style.color), under = paper(element);
    const [a, b] = [luminance(over(ink, under)), luminance(under)].sort((x, y) => y - x);
    found.push({text: texts.currentNode.textContent, contrast: (a + 0.05) / (b + 0.05)});
  }
  return found;
}"""


def test_a_laptop_leaves_an_output_as_much_room_as_the_figures_take(page, lab):
    page.set_viewport_size({"width": 1366, "height": 768})
    run_all(page, lab, "widgets.ipynb")
    explorers(page)
    assert page.locator(".jp-OutputArea-output").first.evaluate("output => output.clientWidth") >= LAPTOP
    images = page.locator(".jp-OutputArea-output img[alt^='The loop']")
    images.first.wait_for()
    assert images.evaluate_all("all => all.map(img => img.clientWidth / img.naturalWidth)") == [1]


def test_the_stepper_steps(page, lab):
    run_all(page, lab, "widgets.ipynb")
    stepper = page.locator(".jp-OutputArea-output:has-text('sets cups')")
    stepper.wait_for()
    stepper.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    second = page.locator(".jp-OutputArea-output:has-text('print(cups)')")
    second.wait_for()
    assert "1 variable as before" in second.inner_text()
    page.screenshot(path=SCREENSHOTS / "stepper.png")


def test_the_first_lesson_is_what_opens_and_its_stored_pictures_show(page, lab):
    root, query = lab
    page.goto(f"{root}/00_start_here.ipynb{query}")
    page.get_by_role("heading", name="Start here").first.wait_for()
    shown = page.locator(".jp-RenderedImage img")
    shown.first.wait_for()
    assert page.get_by_text("Error displaying widget").count() == 0
    page.screenshot(path=SCREENSHOTS / "first-lesson.png")


def test_a_trees_page_works_from_a_file_by_keyboard(page, tmp_path):
    golden = Tree.from_json(read_json(data_file("golden-tree.json")))
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(golden.to_html(tmp_path / "tree.html").as_uri())
    nodes = page.locator("g[role=button]")
    everything = nodes.count()
    nodes.nth(1).focus()
    page.keyboard.press("Enter")
    assert page.locator("#panel").inner_text().startswith("N (visits)")
    page.get_by_role("slider").focus()
    page.keyboard.press("Home")
    title = page.locator("#tree svg text").first
    assert title.text_content().startswith("rollout 0 of ") and nodes.count() == 1 < everything
    page.keyboard.press("End")
    assert nodes.count() == everything
    page.get_by_role("button", name="play").click()  # from the beginning, as it has ended
    assert nodes.count() == 1
    page.get_by_role("button", name="pause").wait_for()
    page.locator("#tree svg text", has_text="rollout 1 of ").wait_for()
    assert errors == []
    page.screenshot(path=SCREENSHOTS / "tree-page.png")
