"""Loading and saving models: the shipped tiny weights, fetched SmolLM2, any folder or Hub name, and adapters."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from rstar_mini.code_cot import TAGS
from rstar_mini.errors import UserError
from rstar_mini.files import whole_folder
from rstar_mini.hub import Repo
from rstar_mini.paths import cache_dir, data_file
from rstar_mini.ppm.model import ppm_from_policy

logging.disable_progress_bar()  # loading takes milliseconds here, and its bars would break ours

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def device() -> str:
    """Where models compute: the GPU, when there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def load_base(
    name: str, dtype: torch.dtype = torch.float32, four_bits: bool = False
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The base model and its tokenizer, by 'tiny', 'smol', a folder, or a Hub name.

    With `four_bits` its linear layers are held in NF4, their scales quantised once more, on the device where they
    compute in `dtype`; all else is in `dtype`.

    Raises:
        UserError: the model is not on this machine and cannot be fetched, or is none that can write steps.
    """
    folder, options = name, {}
    if name == "tiny":
        folder = str(data_file("tiny-base"))
    elif name == "smol":
        weights = sorted((cache_dir() / "smol").glob("*.gguf"))
        if not weights:
            raise UserError("the 'smol' weights are not on this machine yet; run: rstar-mini fetch smol")
        folder, options = str(weights[0].parent), {"gguf_file": weights[0].name}
    elif not Path(name).is_dir():
        folder = str(Repo(name, "model").snapshot())
    # In fp32 a GGUF file is unpacked; in another precision its weights would stay packed and unpack at every product.
    asked: dict[str, Any] = {"dtype": torch.float32 if options else dtype, "trust_remote_code": False}
    if four_bits:
        if options:
            raise UserError(f"the weights of '{name}' are quantised already (GGUF); use policy.tuning lora")
        kind = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True, "bnb_4bit_compute_dtype": dtype}
        asked |= {"quantization_config": BitsAndBytesConfig(load_in_4bit=True, **kind), "device_map": {"": device()}}
    try:
        # Reading a GGUF file shows a bar that no setting turns off; what goes wrong comes as an exception.
        with contextlib.redirect_stderr(io.StringIO()) if options else contextlib.nullcontext():
            model = AutoModelForCausalLM.from_pretrained(folder, **asked, **options)
            tokenizer = AutoTokenizer.from_pretrained(folder, **options)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"cannot load the model '{name}': {reason}; give another folder or Hub name") from error
    for tag in TAGS:
        if str(tokenizer.decode(tokenizer.encode(tag, add_special_tokens=False))).strip() != tag:
            raise UserError(f"the tokenizer of '{name}' cannot write the tag {tag}; its model could never end a step")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    if "gguf_file" in options:  # the weights were turned back into fp32, but marks refuse to train or to save them
        model.is_quantized = False  # type: ignore[assignment]  # a plain flag, which nn.Module hides from the checker
        model.hf_quantizer = None  # type: ignore[assignment]
        del model.config.quantization_config
        model.to(dtype)  # type: ignore[arg-type]  # transformers hides the signature of Module.to
    for layer in model.modules() if four_bits else ():
        # On some CPUs bitsandbytes packs weights anew at the first search, and then gives training wrong gradients.
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False  # type: ignore[assignment]  # a plain flag
    return model.eval(), tokenizer


def load_policy(folder: Path, base: str) -> PreTrainedModel:
    """A fine-tuned policy in fp32: a whole model, or an adapter merged into the base."""
    if not (folder / "adapter_config.json").exists():
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return _merged(load_base(base)[0], folder)


def load_ppm(folder: Path, base: str) -> PreTrainedModel:
    """A PPM in fp32: a whole model, or an adapter and a head merged into the base."""
    if not (folder / "adapter_config.json").exists():
        return AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    return _merged(ppm_from_policy(load_base(base)[0]), folder)


def _merged(model: PreTrainedModel, adapter: Path) -> PreTrainedModel:
    return PeftModel.from_pretrained(model, str(adapter)).merge_and_unload().eval()


def no_four_bits() -> str:
    """Why 4-bit weights do not work on this machine; "" where they do."""
    try:
        from bitsandbytes.functional import dequantize_4bit, quantize_4bit

        weight = torch.ones(64, 64, device=device())
        packed = quantize_4bit(weight, quant_type="nf4")
        return "" if torch.equal(dequantize_4bit(*packed), weight) else "bitsandbytes gives wrong numbers here"
    except Exception as error:  # a missing package or library, or kernels that this device lacks: no common base
        return f"bitsandbytes does not work here ({str(error).strip().splitlines()[0]})"


def save_compact(model: PreTrainedModel, folder: Path) -> None:
    """Save in 16 bits for shipping: half the size, and loaded again in fp32."""
    with whole_folder(folder) as aside:
        model.half().save_pretrained(aside)
    model.float()
