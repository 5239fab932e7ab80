"""Make the files of an export in a folder on this computer's disk: merge, change the number format, write GGUF, copy.

Loads models with torch; where the files go afterwards is not its business.
"""

import gc
import shutil
from pathlib import Path
from typing import Any

import torch

from desktop_app.domain.export_spec import ExportSpec
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.library.model_files import list_model_files
from desktop_app.library.model_folder import gguf_parts, model_facts
from desktop_app.result_folder import MANIFEST

from . import device
from .adapter_result import with_adapter
from .export_source import ExportSource
from .full_result import saved_dtype
from .loading import load_model, load_tokenizer
from .merge import MERGED, write_merged
from .model_companions import copy_companions, copy_licences
from .older_config import keep_older_names
from .quantized_base import base_quantization
from .reporter import Reporter
from .smoke_test import loaded_again

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


class ExportFiles:
    """Loads the model that is exported, and writes it into `folder` in the form that the spec asks for."""

    def __init__(
        self, spec: ExportSpec, source: ExportSource, folder: Path, template: str, name: str, reporter: Reporter
    ) -> None:
        self._spec = spec
        self._source = source
        self._folder = folder
        self._template = template
        self._name = name
        self._reporter = reporter
        self.device = device.chosen_device(spec.device)
        self.compute_dtype = device.chosen_dtype("auto", self.device)
        self._quantization: Any = None
        training = source.training
        if source.is_adapter and training is not None and source.has_base:
            # As it was held while it learned: QLoRA's adapter belongs to the rounded weights.
            training = training.model_copy(update={"model": source.base.path})
            self._quantization = base_quantization(training, source.base, self.compute_dtype, reporter)

    def base(self) -> Any:
        """Load the base model, or the model itself, as it was held for the training."""
        folder = Path(self._source.base.path)
        return load_model(folder, self.device, self.compute_dtype, self._quantization, is_scorer=self._source.is_scorer)

    def original(self) -> Any:
        """Load what is exported as it computes now.

        Raises:
            ModelError: it cannot be loaded.
        """
        if self._source.gguf_file:
            return loaded_again(self._source.folder, self._source.gguf_file, self.device, self.compute_dtype)
        return with_adapter(self.base(), self._source.folder) if self._source.is_adapter else self.base()

    def write(self) -> dict[str, str]:
        """Write the files; return what the writing itself has verified.

        Raises:
            AppError: it cannot be merged or written in that form.
        """
        if self._spec.form == "whole":
            self._write_whole(self._folder, self._spec.dtype)
            return {}
        if self._spec.form == "gguf":
            return self._write_gguf()
        self._copy()
        return {}

    def _write_whole(self, folder: Path, dtype: str) -> None:
        source, shard = self._source, f"{self._spec.shard_size_mb}MB"
        base = Path(source.base.path)
        if source.is_adapter:
            self._reporter.stage("Merging the adapter into the model")
            tokenizer = load_tokenizer(source.tokenizer_folder)
            target_dtype = _DTYPES.get(dtype)
            write_merged(
                folder, base, source.folder, self.base, tokenizer, self._template, target_dtype, shard_size=shard
            )
        else:
            self._reporter.stage("Writing the model")
            wanted = _DTYPES.get(dtype) or saved_dtype(base)
            model = load_model(base, torch.device("cpu"), wanted, is_scorer=source.is_scorer)
            model.save_pretrained(str(folder), max_shard_size=shard)
            keep_older_names(folder)
            del model
            copy_companions(base, folder)
        copy_licences(base, folder)
        gc.collect()

    def _write_gguf(self) -> dict[str, str]:
        from .gguf.converter import write_copies

        source, model = self._source, Path(self._source.base.path)
        merged = self._folder.with_name(f"{self._folder.name}-{MERGED}")
        if source.is_adapter:
            merged.mkdir()
            self._write_whole(merged, "auto")
            model = merged
        method = self._spec.gguf_type
        spec = QuantizeSpec(model=str(model), method=method, device=self._spec.device)
        facts = model_facts(model).model_copy(update={"name": self._name})
        checks = write_copies(spec, model, facts, {method: self._folder}, self._reporter)
        findings = dict(checks[method](self._folder).findings)
        copy_licences(Path(source.base.path), self._folder)
        shutil.rmtree(merged, ignore_errors=True)
        return findings

    def _copy(self) -> None:
        source = self._source
        self._reporter.stage("Copying")
        if Path(source.facts.path).is_file():
            names = {part.name for part in gguf_parts(Path(source.facts.path))}
        else:
            files = list_model_files(source.folder).all
            names = {name for name in files if not name.startswith(f"{MERGED}/") and name != MANIFEST}
        for name in sorted(names):
            self._reporter.heed()
            target = self._folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source.folder / name, target)
