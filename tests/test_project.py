"""The project's own files agree with each other."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from rstar_mini.cli import app

ROOT = Path(__file__).parent.parent


def test_environment_yml_lists_what_pyproject_lists():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    [pip] = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert pip == project["dependencies"] + project["optional-dependencies"]["test"]
    assert f"python{project['requires-python']}" in environment["dependencies"]


def test_the_dependencies_of_the_design_card_are_there():
    listed = " ".join(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    card = ["jupyterlab", "torch", "transformers", "peft", "bitsandbytes", "trl", "datasets", "ipywidgets", "sympy"]
    assert [name for name in card if not re.search(rf"\b{name}\b", listed)] == []


PAGES = [
    ROOT / "README.md",
    *(p for top in ("data", "notebooks", "rstar_mini") for p in ROOT.glob(f"{top}/**/README.md")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.parent.relative_to(ROOT)))
def test_paths_and_links_of_every_readme_exist(page):
    text = page.read_text("utf-8")
    named = [ROOT / path for path in re.findall(r"`((?:rstar_mini|notebooks|data|tests)/[\w./-]*)`", text)]
    linked = [page.parent / path for path in re.findall(r"\]\((?!https?://)([^)#\s]+)", text)]
    assert [path for path in named + linked if not path.exists()] == []


def test_readme_leads_to_every_other_readme():
    """Each long page stands beside what it describes, and a reader of the first page finds it."""
    linked = set(re.findall(r"\]\(([\w./]+README\.md)\)", (ROOT / "README.md").read_text("utf-8")))
    assert {page.relative_to(ROOT).as_posix() for page in PAGES} - {"README.md"} == linked


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.parent.relative_to(ROOT)))
def test_every_command_of_every_readme_exists(page):
    text = page.read_text("utf-8")
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert set(re.findall(r"(?<![\w/-])rstar-mini ([a-z]+)\b", text)) <= commands
    for module in re.findall(r"python -m (rstar_mini[\w.]*\w)", text):
        assert importlib.util.find_spec(module), module


def test_the_hosted_tests_are_readmes_on_three_systems_with_the_torch_of_the_project():
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text()
    [job] = yaml.safe_load(workflow)["jobs"].values()
    lines = [step["run"] for step in job["steps"] if "run" in step]
    [command] = re.findall(r"^pip install -e \"\.\[test\]\" .*pytest$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert command in lines
    assert {name.partition("-")[0] for name in job["strategy"]["matrix"]["system"]} == {"ubuntu", "macos", "windows"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [torch] = [name for name in project["dependencies"] if name.startswith("torch")]
    assert f'pip install "{torch}" --index-url' in workflow
    oldest = project["requires-python"].removeprefix(">=")
    assert oldest in job["strategy"]["matrix"]["python"]
