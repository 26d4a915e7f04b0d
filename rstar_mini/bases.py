"""What can be a base model: a look at its files and its configuration before any weights are loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError, safe_open
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_MASKED_LM_MAPPING, AutoConfig, PreTrainedConfig

from rstar_mini.errors import UserError

_POINTER = b"version https://git-lfs"  # what git leaves in the place of a large file that was not fetched
_KNOWN_LAYERS = {"full_attention", "sliding_attention"}


def refused(name: str, reason: str) -> UserError:
    """The error that a base is none, in one line."""
    return UserError(f"cannot use the model '{name}': {' '.join(reason.split())}; choose another policy.base")


def check_files(folder: Path, name: str) -> None:
    """See that the files of a model are whole.

    Raises:
        UserError: one is damaged, or stands for a file that was not fetched.
    """
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        with file.open("rb") as stream:
            pointer = stream.read(len(_POINTER)) == _POINTER
        if pointer:
            raise refused(name, f"{file} is a git-lfs pointer in place of the file; fetch it with: git lfs pull")
        if file.suffix == ".safetensors":
            try:
                with safe_open(file, "pt"):
                    pass
            except SafetensorError as error:
                raise refused(name, f"{file} is damaged ({error}); get it again") from error


def read_config(folder: Path, name: str) -> PreTrainedConfig:
    """The configuration of a causal language model.

    Raises:
        UserError: there is none, or it describes another kind of model.
    """
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # broken JSON, unknown or unsafe kinds of models: each has its own error
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"cannot read the configuration of '{name}': {reason}; give another model") from error
    if reason := next(_objections(config), ""):
        raise refused(name, f"{reason} ({type(config).__name__})")
    return config


def _objections(config: PreTrainedConfig) -> Iterator[str]:
    """Why the model of a configuration cannot be searched."""
    if config.is_encoder_decoder:
        yield "it reads a text with an encoder before it writes, and search needs a causal language model"
    elif type(config) in MODEL_FOR_MASKED_LM_MAPPING and not config.is_decoder:
        yield "it is an encoder, and search needs a causal language model"
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        yield "transformers has no causal language model of this kind"
    if kind := (getattr(config, "quantization_config", None) or {}).get("quant_method"):
        yield f"its weights are quantised ({kind}), and training needs those before; policy.tuning qlora quantises them"
    if others := sorted(set(getattr(config, "layer_types", None) or ()) - _KNOWN_LAYERS):
        yield f"it has layers of kinds that search does not know: {', '.join(others)}"
    if not isinstance(getattr(config, "num_attention_heads", None), int):
        yield "it has no attention whose keys and values search could keep, as state-space models have none"


def last_position(config: PreTrainedConfig) -> int | None:
    """How many tokens of a text have positions; None where there is no limit.

    Rotations that change for all tokens when a text gets long (longrope) would fit neither what is in the cache nor the
    texts beside it, so such a text ends where they would change.
    """
    rope = getattr(config, "rope_parameters", None) or {}
    limits = [getattr(config, "max_position_embeddings", None)]
    for kind in (rope, *(each for each in rope.values() if isinstance(each, dict))):
        if kind.get("rope_type") == "longrope":
            limits.append(kind.get("original_max_position_embeddings"))
            limits.append(getattr(config, "original_max_position_embeddings", None))
    return min((limit for limit in limits if isinstance(limit, int)), default=None)
