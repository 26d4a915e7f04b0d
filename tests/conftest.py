"""Shared fixtures: quiet, offline, one small model for all tests that need one."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import pytest


@pytest.fixture(scope="session")
def base():
    """The shipped tiny base model and its tokenizer."""
    from rstar_mini.models import load_base

    return load_base("tiny")
