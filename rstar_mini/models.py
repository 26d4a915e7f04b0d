"""Loading and saving models: the shipped tiny weights, fetched SmolLM2, any folder or Hub name, and adapters."""

from __future__ import annotations

import contextlib
import io
import tempfile
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BitsAndBytesConfig,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from rstar_mini.bases import check_files, read_config, refused
from rstar_mini.errors import UserError
from rstar_mini.files import whole_folder
from rstar_mini.hub import Repo
from rstar_mini.paths import cache_dir, data_file
from rstar_mini.policy.attention_check import check_attention
from rstar_mini.ppm.model import ppm_from_policy
from rstar_mini.prompts import DEMONSTRATIONS
from rstar_mini.tokens import cached_encoder, check_tokenizer, choose_ends

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
    compute in `dtype`; all else is in `dtype`. Once in a process, search's attention is compared with the library's.

    Raises:
        UserError: the model is not on this machine and cannot be fetched, or is none that can be searched.
    """
    folder, gguf = base_folder(name)
    check_files(folder, name)
    if not gguf:
        read_config(folder, name)
    asked: dict[str, Any] = {"dtype": dtype}
    if gguf:  # in fp32 it is unpacked; in another precision its weights would stay packed and unpack at every product
        if four_bits:
            raise UserError(f"the weights of '{name}' are quantised already (GGUF); use policy.tuning lora")
        asked = {"dtype": torch.float32, "gguf_file": gguf}
    if four_bits:
        kind = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True, "bnb_4bit_compute_dtype": dtype}
        asked |= {"quantization_config": BitsAndBytesConfig(load_in_4bit=True, **kind), "device_map": {"": device()}}
    model, tokenizer = _loaded(name, folder, asked)
    if gguf:
        _mark_unpacked(model, dtype)
    if four_bits:
        _keep_packing(model)
    if dtype == torch.float16:
        sum_layers_in_fp32(model)
    check_tokenizer(tokenizer, name, vocabulary(model))
    choose_ends(tokenizer, model, vocabulary(model))
    mend_generation(model)
    check_attention(model.eval(), name, cached_encoder(tokenizer.encode)("\n".join(chain(*DEMONSTRATIONS))))
    return model, tokenizer


def base_folder(name: str) -> tuple[Path, str | None]:
    """Where the files of a base lie, and the name of its GGUF file, if it is one.

    Raises:
        UserError: the model is not on this machine and cannot be fetched.
    """
    if name == "tiny":
        return data_file("tiny-base"), None
    if name == "smol":
        weights = sorted((cache_dir() / "smol").glob("*.gguf"))
        if not weights:
            raise UserError("the 'smol' weights are not on this machine yet; run: rstar-mini fetch smol")
        return weights[0].parent, weights[0].name
    if Path(name).is_dir():
        return Path(name), None
    if Path(name).exists():
        raise UserError(f"policy.base {name} is a file; give the folder with config.json and the weights (safetensors)")
    return Repo(name, "model").snapshot(), None


def _loaded(name: str, folder: Path, asked: dict[str, Any]) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model and tokenizer as transformers loads them."""
    gguf = {key: asked[key] for key in ("gguf_file",) if key in asked}
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # else a table of weights comes before the one line that counts
    try:
        # Reading a GGUF file shows a bar that no setting turns off; what goes wrong comes as an exception.
        with contextlib.redirect_stderr(io.StringIO()) if gguf else contextlib.nullcontext():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder, trust_remote_code=False, output_loading_info=True, **asked
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, **gguf)
    except Exception as error:  # files of every format have their own errors; what is to be mended is a file
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"cannot load the model '{name}': {reason}; give another folder or Hub name") from error
    finally:
        logging.set_verbosity(verbosity)
    model, found = loaded
    if missing := sorted(found["missing_keys"]):
        raise refused(name, f"its files lack {len(missing)} weights, such as {missing[0]}, which would be random")
    return model, tokenizer


def vocabulary(model: PreTrainedModel) -> int:
    """How many tokens the model knows."""
    return int(model.get_input_embeddings().weight.shape[0])  # type: ignore[index]  # a layer's weight


def _mark_unpacked(model: PreTrainedModel, dtype: torch.dtype) -> None:
    """Weights of a GGUF file were turned back into fp32, but marks refuse to train or to save them."""
    model.is_quantized = False  # type: ignore[assignment]  # a plain flag, which nn.Module hides from the checker
    model.hf_quantizer = None  # type: ignore[assignment]
    del model.config.quantization_config
    model.to(dtype)  # type: ignore[arg-type]  # transformers hides the signature of Module.to


def _keep_packing(model: PreTrainedModel) -> None:
    """On some CPUs bitsandbytes packs weights anew at the first search, and then gives training wrong gradients."""
    for layer in model.modules():
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False  # type: ignore[assignment]  # a plain flag


def sum_layers_in_fp32(model: PreTrainedModel) -> None:
    """Keep the residual stream of a model in fp16 in fp32, in which the sum of its layers does not overflow.

    Layers and the final norm get their input in fp32, and every norm gives its output in fp16; so products, keys and
    values stay in fp16. Small GPUs such as the T4 compute in no wider 16-bit format.
    """
    decoder = model.get_decoder()
    layers = list(next(child for child in decoder.children() if isinstance(child, nn.ModuleList)))
    norms = [child for block in (decoder, *layers) for child in block.children() if "Norm" in type(child).__name__]
    layers[0].register_forward_pre_hook(lambda _, inputs: (inputs[0].float(), *inputs[1:]))
    for norm in norms:
        norm.register_forward_hook(lambda _, __, output: output.half())


def mend_generation(model: PreTrainedModel) -> None:
    """Keep of the settings for generating only the ends, where saving refuses the rest, which search does not use."""
    settings = model.generation_config
    if settings is None:
        return
    try:
        settings.validate(strict=True)
    except ValueError:
        ends = {key: getattr(settings, key) for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
        model.generation_config = GenerationConfig(**ends)


def check_saving(model: PreTrainedModel, name: str) -> None:
    """See that the library saves the model's settings, which it refuses when some of them do not go together.

    Raises:
        UserError: it does not.
    """
    try:
        with tempfile.TemporaryDirectory() as scratch:
            model.config.save_pretrained(scratch)
            if model.generation_config is not None:
                model.generation_config.save_pretrained(scratch)
    except ValueError as error:
        raise refused(name, f"transformers will not save it: {error}") from error


def load_policy(folder: Path, base: str) -> PreTrainedModel:
    """A fine-tuned policy in fp32: a whole model, or an adapter merged into the base."""
    if not (folder / "adapter_config.json").exists():
        return _trained(AutoModelForCausalLM, folder)
    return _merged(load_base(base)[0], folder)


def load_ppm(folder: Path, base: str) -> PreTrainedModel:
    """A PPM in fp32: a whole model, or an adapter and a head merged into the base."""
    if not (folder / "adapter_config.json").exists():
        return _trained(AutoModelForSequenceClassification, folder)
    return _merged(ppm_from_policy(load_base(base)[0]), folder)


def _trained(kind: Any, folder: Path) -> PreTrainedModel:
    model: PreTrainedModel = kind.from_pretrained(folder, dtype=torch.float32, trust_remote_code=False)
    return model.eval()


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
