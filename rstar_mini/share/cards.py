"""The cards of what is shared: what it is, how it is loaded, what was measured, and how it is made again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rstar_mini.evolution.run import Run
from rstar_mini.recipes import Recipe
from rstar_mini.show.tables import difference, share

PAPER = "[rStar-Math](https://arxiv.org/abs/2501.04519)"
TAGS = ["rstar-math", "rstar_mini", "math", "mcts"]
TABULAR = ("trajectories", "pairs")
HUB_NAMES = {"tiny": None, "smol": "HuggingFaceTB/SmolLM2-135M-Instruct", "generated": None}
LICENSES = {"tiny": "mit", "smol": "apache-2.0", "generated": "mit"}


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that is shared: its folder, what it is, and the code that loads it from {place}."""

    name: str
    what: str
    code: str


_CAUSAL = 'from transformers import AutoModelForCausalLM\nmodel = AutoModelForCausalLM.from_pretrained("{place}")'
_ROWS = 'from datasets import load_dataset\nrows = load_dataset("{place}", split="train")'

POLICY = Part("policy", "The policy: it writes a solution in steps of Python that are run.", _CAUSAL)
ADAPTERS = Part(
    "policy",
    "LoRA adapters of the policy: with its base it writes a solution in steps of Python that are run; the same as a "
    "whole model is in `policy-merged`.",
    "from peft import PeftModel\nfrom rstar_mini.models import load_base\n"
    'model = PeftModel.from_pretrained(load_base("{base}")[0], "{place}")',
)
MERGED = Part("policy-merged", "The policy with its adapters merged into its base.", _CAUSAL)
PPM = Part(
    "ppm",
    "The process preference model: the score of a step is the tanh of its one logit at the last token of the step.",
    "from transformers import AutoModelForSequenceClassification\n"
    'ppm = AutoModelForSequenceClassification.from_pretrained("{place}")',
)
TRAJECTORIES = Part(
    "trajectories",
    "Verified solutions, found by search, that the policy of this round was trained on, in TRL's format of prompt and "
    "completion; `qs` holds the Q-value of each step.",
    _ROWS,
)
PAIRS = Part(
    "pairs",
    "Steps that led to right answers against steps that led to wrong ones under the same beginning, in TRL's format of "
    "preferences; the PPM of this round was trained on them, but for those of its held-out problems.",
    _ROWS,
)


def card(run: Run, number: int, part: Part, places: Mapping[str, str], on_hub: bool) -> str:
    """The README.md of a part of a round; `places` says under which name each part is loaded."""
    recipe, place = publishable(run.recipe), places[part.name]
    front = _of_rows(run.recipe) if part.name in TABULAR else _of_model(run.recipe, part)
    if on_hub and part.name not in TABULAR:
        front["datasets"] = [places[name] for name in TABULAR]
    return f"""---
{yaml.safe_dump(front, sort_keys=False)}---

# {place}

{part.what} Round {number} of the recipe `{recipe.name}` of rstar_mini, a small reproduction of {PAPER}.

```python
{part.code.format(place=place, base=recipe.policy.base)}
```

## Measured

{figures(run.metrics(), number)}

## Made by

`rstar-mini evolve recipe.yaml --rounds {number}`, with this `recipe.yaml`:

```yaml
{yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)}```
"""


def publishable(recipe: Recipe) -> Recipe:
    """The recipe without what is this machine's own: of a folder or file only the name, and no server's address."""
    changes = {
        "policy": {"base": _file_name(recipe.policy.base)},
        "problems": {"path": _file_name(recipe.problems.path)},
        "evaluation": {"path": _file_name(recipe.evaluation.path)},
    }
    if recipe.policy.url:
        changes["policy"]["url"] = "http://localhost:8000/v1"
    return recipe.model_copy(
        update={name: getattr(recipe, name).model_copy(update=update) for name, update in changes.items()}
    )


def _file_name(source: str) -> str:
    return source if hub_name(source) or source in HUB_NAMES else Path(source).name


def hub_name(source: str) -> str | None:
    """The Hub's name of a base model or a set of problems; None for what is not there."""
    if source in HUB_NAMES:
        return HUB_NAMES[source]
    return None if source.endswith(".jsonl") or Path(source).exists() else source


def _of_model(recipe: Recipe, part: Part) -> dict[str, Any]:
    """What the Hub reads of a model's card."""
    base = hub_name(recipe.policy.base)
    front = _license(recipe.policy.base) | ({"base_model": base} if base else {})
    return front | {
        "library_name": "peft" if part is ADAPTERS else "transformers",
        "pipeline_tag": "text-classification" if part is PPM else "text-generation",
        "tags": TAGS,
    }


def _of_rows(recipe: Recipe) -> dict[str, Any]:
    """What the Hub reads of a data set's card."""
    source = hub_name(recipe.problems.path)
    front = _license(recipe.problems.path) | ({"source_datasets": [f"extended|{source}"]} if source else {})
    files = [{"config_name": "default", "data_files": [{"split": "train", "path": "train.parquet"}]}]
    return front | {"task_categories": ["text-generation"], "tags": [*TAGS, "trl"], "configs": files}


def _license(source: str) -> dict[str, str]:
    """What is made out of a model or of problems is under their license, which is known of those that come along."""
    if source in LICENSES:
        return {"license": LICENSES[source]}
    return {"license": "other", "license_name": f"as-{_file_name(source)}".replace("/", "-").lower()}


def figures(metrics: Sequence[Mapping[str, Any]], number: int) -> str:
    """The measured figures of a round beside those of the base model, in Markdown."""
    rows = {row["round"]: row for row in metrics}
    this, base = rows[number], rows.get(0, {})
    held, before = this["evaluation"], base.get("evaluation", {"systems": {}, "paired": {}})
    table = [
        f"| {name} | {show(before[kind].get(name))} | {show(value)} |"
        for kind, show in (("systems", share), ("paired", difference))
        for name, value in held[kind].items()
    ]
    return "\n".join(
        [
            f"Held-out problems right, in percent with 95 % intervals, n = {held['n']}, seed {held['seed']}; "
            "differences in percentage points, by paired bootstrap over the problems.",
            "",
            f"| | base model | round {number} |",
            "|---|---|---|",
            *table,
            "",
            f"Training problems with a verified solution: {_counted(this.get('coverage', {}).get('all'))}. "
            f"Held-out pairs that the PPM orders rightly: {_counted(this.get('ppm_accuracy'))}. Seed {this['seed']}.",
        ]
    )


def _counted(counts: Mapping[str, int] | None) -> str:
    return f"{share(counts)} %, n = {counts['n']}" if counts and counts["n"] else "not measured"
