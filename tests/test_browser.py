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
from rstar_mini.types import Tree

ROOT = Path(__file__).parent.parent
SCREENSHOTS = ROOT / "build" / "screenshots"
TOKEN = "for-the-test"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
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
    """step_through(split_steps(write_solution([("Cups", "cups = 2 * 4")], "cups", "8")), box)""",
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


def run_all(page, lab, name):
    root, query = lab
    page.goto(f"{root}/{name}{query}")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def test_the_explorer_replays_the_search_and_answers_to_the_keyboard(page, lab):
    run_all(page, lab, "widgets.ipynb")
    explorer = page.locator(".jp-OutputArea-output:has(img[alt^='search tree after'])")
    explorer.wait_for()
    assert "ln 3" not in explorer.inner_text()
    page.screenshot(path=SCREENSHOTS / "explorer.png")

    slider = explorer.get_by_role("slider").first
    slider.focus()
    page.keyboard.press("ArrowLeft")
    explorer.locator("img[alt^='search tree after 2 rollouts']").wait_for()
    assert "rollout 2 (orange)" in explorer.inner_text()

    assert explorer.locator("option").count() > 4
    explorer.get_by_role("slider").nth(1).focus()
    page.keyboard.press("ArrowRight")
    panel = explorer.get_by_label("the chosen node")
    panel.get_by_text("cups = 2 * 4").wait_for()
    assert re.search(r"N \(visits\)\s+1", panel.inner_text())
    assert "Q + 2 √(ln 2 / 1)" in panel.inner_text()
    page.screenshot(path=SCREENSHOTS / "explorer-node.png")

    explorer.locator("select").select_option(index=0)
    panel.get_by_text("A cup costs $4").wait_for()


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
    golden = Tree.from_json(read_json(ROOT / "tests" / "golden" / "tree.json"))
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
    assert page.locator("#number").inner_text() == "0" and nodes.count() == 1 < everything
    page.keyboard.press("End")
    assert nodes.count() == everything and errors == []
    page.screenshot(path=SCREENSHOTS / "tree-page.png")
