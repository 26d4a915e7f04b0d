"""The project's own files agree with each other."""

import re
import tomllib
from pathlib import Path

import yaml

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


def test_readme_paths_exist():
    readme = (ROOT / "README.md").read_text()
    paths = re.findall(r"`((?:rstar_mini|notebooks|data|tests)/[\w./-]*)`", readme)
    assert paths and [path for path in paths if not (ROOT / path).exists()] == []


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
