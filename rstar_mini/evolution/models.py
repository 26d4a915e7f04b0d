"""The models of a round, ready to search and to score."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import PreTrainedModel

from rstar_mini.evolution.capacity import capacity
from rstar_mini.models import DTYPES, load_base, load_policy, load_ppm
from rstar_mini.paths import data_file
from rstar_mini.policy import Policy
from rstar_mini.policy.endpoint import EndpointPolicy
from rstar_mini.policy.transformers_policy import TransformersPolicy
from rstar_mini.policy.vllm_server import VllmPolicy
from rstar_mini.ppm.scorer import PPMScorer
from rstar_mini.prompts import DEMONSTRATIONS, TEMPLATES, Prompt
from rstar_mini.recipes import Recipe

SHIPPED = "tiny-evolved"


class Models:
    """The models of a run: the base and what the rounds made of it, each loaded when it is asked for.

    Args:
        recipe: names the base, the prompt and the precision of search.
        folder: holds round-1/policy, round-1/ppm and so on; of the shipped weights only the last round is there.
    """

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.recipe, self.folder = recipe, folder
        base, self.tokenizer = load_base(recipe.policy.base)
        self.capacity = capacity(folder, recipe.policy, base.config)

    def prompt(self, number: int) -> Prompt:
        """Zero-shot for a fine-tuned policy; for a base that has not seen the format, round 0, with worked examples."""
        shots = DEMONSTRATIONS[: self.recipe.policy.shots] if number == 0 else ()
        return Prompt(TEMPLATES[self.recipe.policy.prompt], shots)

    def weights(self, number: int) -> PreTrainedModel:
        """The policy's weights after a round, in fp32."""
        if number == 0:
            return load_base(self.recipe.policy.base)[0]
        return load_policy(self.folder / f"round-{number}" / "policy", self.recipe.policy.base)

    def _placed(self, model: PreTrainedModel) -> PreTrainedModel:
        """The model on the GPU, when there is one, in the precision of search."""
        moved: PreTrainedModel = model.to(  # type: ignore[call-arg]  # transformers hides the signature of Module.to
            device="cuda" if torch.cuda.is_available() else "cpu", dtype=DTYPES[self.recipe.policy.dtype]
        )
        return moved

    def policy(self, number: int, prompt: Prompt | None = None, max_tokens: int | None = None) -> Policy:
        """The policy of a round, to be closed after use; round 0 is the base.

        Another prompt and length than those of the round's steps are for other texts, such as new problems.

        Raises:
            UserError: the recipe wants vLLM, which is not there or does not start.
        """
        settings, weights = self.recipe.policy, self.weights(number)
        prompt, max_tokens = prompt or self.prompt(number), max_tokens or settings.max_step_tokens
        how = self.tokenizer, prompt, max_tokens, self.capacity.batch_rows
        if settings.engine == "vllm":
            return VllmPolicy(weights.to(DTYPES[settings.dtype]), *how)  # type: ignore[arg-type]  # as in `_placed`
        return TransformersPolicy(self._placed(weights), *how, self.capacity.cache_mb << 20)

    def searching_policy(self, number: int, prompt: Prompt | None = None, max_tokens: int | None = None) -> Policy:
        """The policy that makes the data of a round, to be closed after use: that of the round before; see `policy`.

        But in round 1 it is the endpoint when the recipe has one, as the paper's is a larger model that is not trained.
        """
        settings = self.recipe.policy
        if settings.engine == "endpoint" and number == 1:
            assert settings.url and settings.served_model
            prompt, max_tokens = prompt or self.prompt(0), max_tokens or settings.max_step_tokens
            how = self.tokenizer, prompt, max_tokens, self.capacity.batch_rows
            return EndpointPolicy(settings.url, settings.served_model, *how)
        return self.policy(number - 1, prompt, max_tokens)

    def scorer(self, number: int) -> PPMScorer:
        """The PPM of a round."""
        model = load_ppm(self.folder / f"round-{number}" / "ppm", self.weights(number))
        return PPMScorer(self._placed(model), self.tokenizer, self.prompt(number), self.capacity.cache_mb << 20)


def shipped_models(recipe: Recipe) -> Models:
    """The evolved tiny models that come with the project."""
    return Models(recipe, data_file(SHIPPED))
