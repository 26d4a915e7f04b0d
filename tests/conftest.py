"""Shared fixtures: quiet, offline, one small model for all tests that need one."""

import gc
import os
import shutil

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import pytest

import rstar_mini  # noqa: F401  # before any test loads torch, whose threads it teaches to wait


def pytest_collection_modifyitems(config, items):
    """Tests that take minutes run when they are asked for."""
    asked = config.option.markexpr
    for item in items:
        if item.get_closest_marker("matrix") and "matrix" in asked:  # slow too, and then asked for by its own name
            continue
        for marker in ("slow", "notebook", "browser", "vllm", "gpu", "ray"):
            if item.get_closest_marker(marker) and marker not in asked:
                item.add_marker(pytest.mark.skip(reason=f"runs with: pytest -m {marker}"))


def pytest_collection_finish(session):
    """What the libraries have made by now stays: every training collects garbage, half a second if it looks there."""
    gc.freeze()


@pytest.fixture(scope="session")
def base():
    """The shipped tiny base model and its tokenizer."""
    from rstar_mini.models import load_base

    return load_base("tiny")


@pytest.fixture(scope="session")
def evolved(tmp_path_factory):
    """A whole small run, which takes about ten seconds; nobody writes into it."""
    from small_runs import SMALL

    return rstar_mini.evolve("tiny", tmp_path_factory.mktemp("runs") / "a", overrides=SMALL)


@pytest.fixture(scope="module")
def run(evolved, tmp_path_factory):
    """The same, for the tests of one module to write into."""
    path = tmp_path_factory.mktemp("runs") / "a"
    shutil.copytree(evolved.path, path)
    return rstar_mini.load_run(path)
