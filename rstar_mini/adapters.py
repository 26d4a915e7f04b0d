"""LoRA and QLoRA: policy and PPM as two small adapters over one frozen base, which is in memory once.

An adapter adds B A x to what every linear layer gives, with thin matrices A and B; only these are trained, and the
base may be in 4 bits. A round trains an adapter on the base, saves it, and search reads it again in its own precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import RLock
from typing import Any

from peft import (
    LoraConfig,
    PeftConfig,
    PeftModel,
    TaskType,
    get_peft_model,
    load_peft_weights,
    set_peft_model_state_dict,
)
from torch import Tensor, nn
from transformers import PreTrainedModel, set_seed

from rstar_mini.errors import UserError

HEAD = "score"  # the PPM's scalar head


def linear_layers(model: PreTrainedModel) -> list[str]:
    """The names of the decoder's linear layers, as this architecture calls them, sorted.

    Raises:
        UserError: there are none, as in models that use other layers for their products.
    """
    decoder = model.get_decoder()
    names = {name.rpartition(".")[2] for name, module in decoder.named_modules() if isinstance(module, nn.Linear)}
    if not names:
        raise UserError(f"{type(model).__name__} has no linear layers for LoRA to adapt; use policy.tuning full")
    return sorted(names)


def with_lora(model: PreTrainedModel, rank: int, task: TaskType = TaskType.CAUSAL_LM) -> PeftModel:
    """The model with a new adapter on every linear layer of its decoder; PEFT trains and saves a PPM's head with it."""
    config = LoraConfig(
        task_type=task,
        r=rank,
        lora_alpha=2 * rank,
        target_modules=linear_layers(model),
    )
    return adapter_on(model, config)


def adapter_on(model: PreTrainedModel, config: PeftConfig, name: str = "default") -> PeftModel:
    """The model with a new adapter of this kind."""
    adapted = get_peft_model(model, config, adapter_name=name)
    assert isinstance(adapted, PeftModel)  # and not a model that mixes kinds of adapters
    # At every save, of checkpoints too, PEFT would ask the Hub whether the vocabulary has changed, and warn where
    # there is nothing to ask.
    adapted.save_pretrained = partial(adapted.save_pretrained, save_embedding_layers=False)  # type: ignore[method-assign]
    return adapted


class SharedBase:
    """A frozen base with a place for the PPM's head, and the adapters on it, of which one at a time is switched on.

    Training starts with a new adapter and drops all others; search reads saved ones beside each other.

    Args:
        base: a causal model, in the precision of search or in 4 bits.
        rank: of the adapters.
    """

    def __init__(self, base: PreTrainedModel, rank: int) -> None:
        self.base, self.rank = base.requires_grad_(False), rank
        base.config.num_labels = 1  # TRL asks a reward model for it
        base.add_module(HEAD, new_head(base).requires_grad_(False))
        self._lock = RLock()  # candidates are scored beside decoding, in another thread
        self._adapted: PeftModel | None = None
        self._on: str | None = None

    def to_train_policy(self, seed: int) -> PeftModel:
        """The base with a new adapter for the next token; what is trained is in fp32."""
        return self._new(TaskType.CAUSAL_LM, seed)

    def to_train_ppm(self, policy: Path, seed: int) -> PeftModel:
        """The base with a copy of the policy's saved adapter, from which a round's PPM starts, and with a new head."""
        adapted = self._new(TaskType.SEQ_CLS, seed)
        self._read(policy, adapted)
        return adapted

    def _read(self, saved: Path, adapted: PeftModel, name: str = "default") -> None:
        """Fill an adapter from a folder; PEFT looks for the head's weights even where there are none."""
        head = {f"base_model.model.{HEAD}.weight": self.base.get_submodule(HEAD).weight}
        set_peft_model_state_dict(adapted, head | load_peft_weights(str(saved), str(self.base.device)), name)

    def _new(self, task: TaskType, seed: int) -> PeftModel:
        if self._adapted is not None:
            self._adapted.unload()  # type: ignore[operator]  # the tuner's, which PeftModel passes on
        set_seed(seed)
        self.base.set_submodule(HEAD, new_head(self.base))
        self._adapted = with_lora(self.base, self.rank, task)
        self._on = self._adapted.active_adapter
        return self._adapted

    def view(self, name: str | None = None, saved: Path | None = None) -> View:
        """The base under the adapter in the folder `saved`, which is called `name` here; without one, as it is."""
        if name and saved and (self._adapted is None or name not in self._adapted.peft_config):
            config = PeftConfig.from_pretrained(str(saved))
            if self._adapted is None:
                self._adapted, self._on = adapter_on(self.base, config, name), name
            else:
                self._adapted.add_adapter(name, config)
            self._read(saved, self._adapted, name)
            for key, parameter in self._adapted.named_parameters():
                if f".{name}." in key:
                    parameter.data = parameter.data.to(self.base.dtype)  # search reads all in one precision
            self._adapted.eval()
        return View(self, name)

    @contextmanager
    def switched(self, name: str | None) -> Iterator[None]:
        """The adapter alone is on, and nobody may switch meanwhile."""
        with self._lock:
            if self._adapted is not None and name != self._on:
                layers: Any = self._adapted.base_model
                if name is None:
                    layers.disable_adapter_layers()
                else:
                    if self._on is None:
                        layers.enable_adapter_layers()
                    self._adapted.set_adapter(name, inference_mode=True)
                self._on = name
            yield


class View:
    """The base as one of its adapters makes it: what an engine or a scorer needs of a model."""

    def __init__(self, shared: SharedBase, name: str | None) -> None:
        self.shared, self.name = shared, name
        self.config, self.device, self.dtype = shared.base.config, shared.base.device, shared.base.dtype
        self.generation_config = shared.base.generation_config
        self.decoder = shared.base.get_decoder()
        self.set_attn_implementation = self.decoder.set_attn_implementation

    def get_decoder(self) -> View:
        """Itself, called as the decoder is."""
        return self

    def __call__(self, **inputs: Any) -> Any:
        """The decoder's output under this adapter."""
        with self.shared.switched(self.name):
            return self.decoder(**inputs)

    def get_output_embeddings(self) -> nn.Module:
        """The next-token head, which no adapter changes."""
        return self.shared.base.get_output_embeddings()

    def get_submodule(self, name: str) -> Callable[[Tensor], Tensor]:
        """The PPM's head."""

        def head(hidden: Tensor) -> Tensor:
            with self.shared.switched(self.name):
                scores: Tensor = self.shared.base.get_submodule(name)(hidden)
                return scores

        return head


def new_head(model: PreTrainedModel) -> nn.Linear:
    """A scalar head for the model in fp32, with small weights, so that all scores start near 0."""
    head = nn.utils.skip_init(nn.Linear, model.config.hidden_size, 1, bias=False, device=model.device)
    assert isinstance(head, nn.Linear)
    nn.init.normal_(head.weight, std=1e-3)
    return head
