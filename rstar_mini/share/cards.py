"""The cards of what is shared: what it is, how it is loaded, what was measured, and how it is made again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rstar_mini.evolution.run import Run
from rstar_mini.problems.files import is_local
from rstar_mini.problems.load import SHIPPED, hub_name
from rstar_mini.problems.sets import SETS
from rstar_mini.recipes import Recipe
from rstar_mini.show.tables import difference, share

PAPER = "[rStar-Math](https://arxiv.org/abs/2501.04519)"
TAGS = ["rstar-math", "rstar_mini", "math", "mcts"]
TABULAR = ("trajectories", "pairs")
LICENSES = ("MIT", "Apache-2.0")  # those that the Hub knows by these names


@dataclass(frozen=True, slots=True)
class Base:
    """A base model that has a name of its own here."""

    hub: str | None
    licence: str


BASES = {"tiny": Base(None, "MIT"), "smol": Base("HuggingFaceTB/SmolLM2-135M-Instruct", "Apache-2.0")}


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that is shared: its folder, what it is, and the code that loads it from {place}."""

    name: str
    what: str
    code: str


_CAUSAL = 'from transformers import AutoModelForCausalLM\nmodel = AutoModelForCausalLM.from_pretrained("{place}")'
_ROWS = 'from datasets import load_dataset\nrows = load_dataset("{place}", split="train")'
# By its name alone a folder that was written anew would come from the cache as it was before.
_ROWS_OF_FILE = _ROWS.replace('"{place}"', '"parquet", data_files="{place}/train.parquet"')

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
    "Verified solutions, found by search, that the policy of this round was trained on (with sft.renumbered also on "
    "copies with other numbers, which are not here), in TRL's format of prompt and completion; `qs` holds the Q-value "
    "of each step.",
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
    code = part.code if on_hub or part.name not in TABULAR else _ROWS_OF_FILE
    return f"""---
{yaml.safe_dump(front, sort_keys=False)}---

# {place}

{_what(run.recipe, part)} Round {number} of the recipe `{recipe.name}` of rstar_mini, a small reproduction of {PAPER}.

```python
{code.format(place=place, base=recipe.policy.base)}
```

## Measured

{figures(run.metrics(), number)}

## Made by

`rstar-mini evolve recipe.yaml --rounds {number}`, with this `recipe.yaml`:

```yaml
{yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)}```
"""


def _what(recipe: Recipe, part: Part) -> str:
    """What a part is; adapters on a base in 4 bits have to be merged into one of full precision."""
    if recipe.policy.tuning == "qlora" and part in (MERGED, PPM):
        return f"{part.what} It was trained and measured on its base in 4 bits, of which this differs a little."
    return part.what


def publishable(recipe: Recipe) -> Recipe:
    """The recipe without what is this machine's own: of a folder or file only the name, and no server's address."""
    changes: dict[str, dict[str, Any]] = {
        "policy": {"base": _file_name(recipe.policy.base)},
        "problems": {
            "path": _file_name(recipe.problems.path),
            "decontaminate": [_file_name(name) for name in recipe.problems.decontaminate],
        },
        "evaluation": {"path": _file_name(recipe.evaluation.path)},
    }
    if recipe.policy.url:
        changes["policy"]["url"] = "http://localhost:8000/v1"
    return recipe.model_copy(
        update={name: getattr(recipe, name).model_copy(update=update) for name, update in changes.items()}
    )


def _file_name(source: str) -> str:
    return Path(source).name if is_local(source) else source


def base_on_hub(base: str) -> str | None:
    """The Hub's name of a base model; None for one that is not there."""
    if base in BASES:
        return BASES[base].hub
    return None if Path(base).is_dir() else base


def _of_model(recipe: Recipe, part: Part) -> dict[str, Any]:
    """What the Hub reads of a model's card."""
    base = base_on_hub(recipe.policy.base)
    known = BASES.get(recipe.policy.base)
    front = _license(known.licence if known else "", recipe.policy.base) | ({"base_model": base} if base else {})
    return front | {
        "library_name": "peft" if part is ADAPTERS else "transformers",
        "pipeline_tag": "text-classification" if part is PPM else "text-generation",
        "tags": TAGS,
    }


def _of_rows(recipe: Recipe) -> dict[str, Any]:
    """What the Hub reads of a data set's card."""
    path = recipe.problems.path
    licence = "MIT" if path in SHIPPED else SETS[path].licence if path in SETS else ""
    source = hub_name(path)
    front = _license(licence, path) | ({"source_datasets": [f"extended|{source}"]} if source else {})
    files = [{"config_name": "default", "data_files": [{"split": "train", "path": "train.parquet"}]}]
    return front | {"task_categories": ["text-generation"], "tags": [*TAGS, "trl"], "configs": files}


def _license(licence: str, source: str) -> dict[str, str]:
    """What is made out of a model or of problems is under their license, which is not known of all."""
    if licence in LICENSES:
        return {"license": licence.lower()}
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
