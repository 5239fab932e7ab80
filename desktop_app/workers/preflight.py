"""Refuse what cannot work within the first second, before torch is imported or a weight is read."""

import importlib.metadata
from pathlib import Path

from desktop_app.domain.finetune_spec import Device, FinetuneSpec
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.quantize_method import METHODS
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.domain.quantized_size import quantized_bytes, temporary_bytes
from desktop_app.domain.training_limits import method_refusal, optimizer_refusal, split_refusal
from desktop_app.errors import HardwareError, ModelError, SpecError, StorageError
from desktop_app.extras import missing_extra
from desktop_app.hardware.cuda_state import cuda_generation
from desktop_app.hardware.disk import check_space
from desktop_app.library.model_folder import check_model_folder
from desktop_app.memory_plan import training_disk_bytes


def check_device(device: Device) -> None:
    """Refuse a GPU that this build of torch cannot use.

    Raises:
        HardwareError: the spec asks for a GPU, and torch is built for the CPU only.
    """
    if device == "cuda" and cuda_generation() is None:
        raise HardwareError(
            f"A GPU is asked for, but this PyTorch ({importlib.metadata.version('torch')}) is built for the CPU only.",
            "Choose the device 'cpu', or install a CUDA build of PyTorch.",
        )


def check_precision(spec: FinetuneSpec) -> None:
    """Refuse fp16 on the CPU, where PyTorch accepts it and computes in fp32 all the same.

    Raises:
        SpecError: if that is asked for.
    """
    if spec.device == "cpu" and spec.precision == "fp16":
        raise SpecError("precision: fp16 has no effect on the CPU.", "Use fp32 or bf16.", "precision")


def base_model_facts(folder: Path) -> ModelFacts:
    """Check a model that is to be trained or quantized, and return its facts.

    Raises:
        ModelError: it is damaged, unsafe or of a kind that cannot be loaded, or it is an adapter.
    """
    facts = check_model_folder(folder)
    if facts.kind != "base":
        raise ModelError(
            f"{folder} is an adapter, not a whole model.",
            f"Choose its base model {facts.base_model}." if facts.base_model else "Choose its base model.",
        )
    return facts


def check_method(spec: FinetuneSpec, facts: ModelFacts) -> None:
    """Refuse a method that this model or this device cannot do.

    Raises:
        SpecError: naming the field.
    """
    refusal = method_refusal(spec.method, facts)
    if refusal:
        raise SpecError(f"method: {refusal}", "Choose the original model, or the method 'qlora'.", "method")
    refusal = optimizer_refusal(spec.optimizer, has_gpu=spec.device != "cpu" and cuda_generation() is not None)
    if refusal:
        raise SpecError(f"optimizer: {refusal}", "Choose 'adamw_8bit' or 'adafactor'.", "optimizer")
    refusal = split_refusal(spec, facts) if spec.is_sharded else ""
    if refusal:
        raise SpecError(f"parallel: {refusal}", "Choose 'ddp', or another method or optimizer.", "parallel")


def check_training_space(spec: FinetuneSpec, facts: ModelFacts, written_bytes: int, *folders: Path) -> str:
    """Refuse a fine-tuning that cannot end: its result and one checkpoint beside a new one do not fit on the disk.

    `written_bytes` is what an earlier attempt has left. Returns a warning where it can end but what is to be kept
    may not all fit, '' else.

    Raises:
        StorageError: too little space is free.
    """
    least = spec.model_copy(update={"keep_checkpoints": 1, "keep_best": False})
    check_space(max(0, training_disk_bytes(least, facts) - written_bytes), *folders)
    try:
        check_space(max(0, training_disk_bytes(spec, facts) - written_bytes), *folders)
    except StorageError as error:
        return f"{error.message} It waits where the disk becomes full; fewer kept checkpoints need less."
    return ""


def check_extras(spec: QuantizeSpec) -> None:
    """Refuse a method whose packages are an extra that is not installed.

    Raises:
        SpecError: naming the command that installs it.
    """
    for method in spec.methods:
        if reason := missing_extra(METHODS[method].extra):
            raise SpecError(f"method: {METHODS[method].title} {reason}.", "Then start the job again.", "method")


def check_quantized_space(spec: QuantizeSpec, facts: ModelFacts, written_bytes: int, folder: Path) -> None:
    """Refuse a quantization whose result would not fit on the disk, beside what an earlier attempt has left of it.

    Raises:
        StorageError: too little space is free.
    """
    needed = sum(quantized_bytes(spec, method, facts) + temporary_bytes(method, facts) for method in spec.methods)
    check_space(max(0, needed - written_bytes), folder)
