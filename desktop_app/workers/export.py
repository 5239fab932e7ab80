"""Export: write a result in a form that other programs take, try it, and bring it to where the user wants it.

It is made and tried on this computer's disk and copied then, so that a slow stick is written once, from the first
byte to the last, and read back. Nothing is shown at its place before all of it is there.

Summary: form, size_bytes, files, seconds, bytes_per_s (of the copying), same_tokens (of the original's 64).
"""

import gc
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop_app.domain.export_spec import TOO_LARGE, ExportSpec, export_bytes
from desktop_app.errors import ModelError
from desktop_app.hardware.disk import check_space, refuse_too_large
from desktop_app.job_folder import JobFolder
from desktop_app.result_folder import ResultFolder
from desktop_app.training_data.go_template import go_template
from desktop_app.training_data.tokenization import Tokenization
from desktop_app.training_data.tokenizer_files import read_config

from .byte_progress import ByteProgress
from .copying import JOURNAL, Source, check_copies, copy_files, file_digest
from .export_card import write_export_card
from .export_source import ExportSource, export_source
from .finished import Finished, Summary
from .modelfile import Spoken, write_modelfile
from .preflight import check_device
from .provenance import library_versions, provenance
from .reporter import Reporter

if TYPE_CHECKING:
    from .export_files import ExportFiles
    from .smoke_test import Finding

_MOST_PROMPT_TOKENS = 192  # small models read no more than 256


def export(spec: ExportSpec, job: JobFolder, reporter: Reporter) -> Finished:
    """Export the model and return its verified folder.

    Raises:
        AppError: something outside this program prevents it.
        CancelledByUser: the user ended it.
    """
    check_device(spec.device)
    source = export_source(spec)
    final = Path(spec.output or job.path / "result")
    size, largest = export_bytes(spec, source.facts, source.base)
    check_space(size, final.parent)
    merged_first = source.base.size_bytes if source.is_adapter and spec.form == "gguf" else 0
    check_space(size + merged_first, job.path)
    refuse_too_large(final, "The largest file", largest, TOO_LARGE)
    result = ResultFolder(final, job.id)
    work = job.path / "export"
    shutil.rmtree(work, ignore_errors=True)
    try:
        work.mkdir()
        made = _made(spec, source, work, final.name if spec.output else source.facts.name, reporter)
        copied_s = reporter.worked_s()
        sources = _files(work)
        for file in sources:
            refuse_too_large(final, file.name, file.size, TOO_LARGE)
        digests = _brought(sources, result, reporter)
        copied_s = reporter.worked_s() - copied_s
        about = provenance(spec) | {"findings": made.checks}
        result.finish(about, lambda part: None, digests)
    except BaseException:
        result.discard()
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(work.with_name(f"{work.name}-merged"), ignore_errors=True)
    total = sum(file.size for file in sources)
    summary: Summary = {
        "form": spec.form if spec.form != "gguf" else spec.gguf_type,
        "size_bytes": total,
        "files": len(sources),
        "differs": not made.is_equal,
        "bytes_per_s": round(total / max(copied_s, 0.01)),
        "seconds": round(reporter.worked_s(), 2),
    }
    checks = {**made.checks, "checksums": f"{len(digests)} files read back, all as they were written"}
    return Finished(result=final, summary=summary, checks=checks)


@dataclass(slots=True)
class _Made:
    """What was found while the export was made and tried, and whether all of it is just like the original."""

    checks: dict[str, str]
    is_equal: bool = True

    def note(self, name: str, finding: "Finding", reporter: Reporter) -> None:
        self.checks[name] = finding.text
        if not finding.is_equal:
            self.is_equal = False
            reporter.notice(f"{name.capitalize()}: {finding.text}.", "warning")


def _made(spec: ExportSpec, source: ExportSource, work: Path, name: str, reporter: Reporter) -> _Made:
    """Write the files into `work` and try them there."""
    reporter.stage("Loading PyTorch")
    from . import device  # imports torch
    from .export_files import ExportFiles

    device.use_threads(spec.threads)
    example, origin = source.conversation()
    has_tokenizer = (source.tokenizer_folder / "tokenizer.json").is_file()
    speech = Tokenization(source.tokenizer_folder) if has_tokenizer and not source.gguf_file else None
    files = ExportFiles(spec, source, work, speech.template.source if speech else "", name, reporter)
    original = _heard(files, _prompt(speech, example), source, reporter)
    made = _Made(checks=files.write())
    reporter.heed()
    gguf_file = next((path.name for path in sorted(work.glob("*.gguf"))), "")
    reporter.stage("Trying what was written")
    if speech is not None and source.has_base:
        from .smoke_test import same_template

        made.note("template", same_template(work, gguf_file, speech, example), reporter)
        if not made.checks["template"].startswith("left out"):
            made.checks["template"] += f" ({origin})"
    made.note("same answer", _tried(spec, source, files, work, gguf_file, original), reporter)
    spoken = _spoken(source, speech, gguf_file)
    if (spec.form in ("gguf", "whole") and not source.is_scorer) or gguf_file:
        write_modelfile(work, f"./{gguf_file}" if gguf_file else ".", spoken, spec.system)
        known = spoken.template
        told = f"its chat template is {known.name}" if known else "its chat template is left to Ollama"
        made.checks["modelfile"] = told
        if known is None and speech is not None and not speech.template.is_plain:
            reporter.notice(
                "The chat template is none of those that can be said in Ollama's language, so the Modelfile leaves it "
                "out. Other programs read it from the model itself.",
                "warning",
            )
    write_export_card(work, spec, source, name, made.checks, library_versions(), gguf_file)
    return made


def _prompt(speech: Tokenization | None, example: Any) -> list[int]:
    if speech is None:
        return list(range(1, 17))  # any tokens will do
    if example.is_text:
        return list(speech.encoded(example).encoding.ids)[:32]
    return speech.prompt_ids(example)[-_MOST_PROMPT_TOKENS:]


def _heard(files: "ExportFiles", prompt: list[int], source: ExportSource, reporter: Reporter) -> Any:
    """Let the original write, to compare with; None if it writes nothing, or cannot be loaded here."""
    if source.is_scorer or not source.has_base:
        return None
    import torch

    from .smoke_test import heard

    reporter.stage("Listening to the original")
    try:
        return heard(files.original(), prompt)
    except (MemoryError, torch.OutOfMemoryError):
        return None
    except ModelError:
        if source.gguf_file:  # transformers reads some families only
            return None
        raise
    finally:
        gc.collect()


def _tried(
    spec: ExportSpec, source: ExportSource, files: "ExportFiles", work: Path, gguf_file: str, original: Any
) -> "Finding":
    import torch

    from .adapter_result import with_adapter
    from .smoke_test import Finding, compared, loaded_again

    if source.is_scorer or original is None:
        what = "it scores answers" if source.is_scorer else "the original cannot be loaded here to compare with"
        return Finding(text=f"left out: {what}")
    try:
        if spec.form == "adapter":
            model = with_adapter(files.base(), work)
        else:
            model = loaded_again(work, gguf_file, files.device, files.compute_dtype)
    except (MemoryError, torch.OutOfMemoryError):
        return Finding(text="left out: there is not enough memory to load it again")
    except ModelError as error:
        if not gguf_file:
            raise
        return Finding(text=f"left out: {error.message}; every tensor was compared with the original instead")
    return compared(model, original)


def _spoken(source: ExportSource, speech: Tokenization | None, gguf_file: str) -> Spoken:
    folder = Path(source.base.path)
    generation = read_config(folder, "generation_config.json") if folder.is_dir() else {}
    template = None
    ends: tuple[str, ...] = ()
    if speech is not None:
        if not speech.template.is_plain:
            template = go_template(speech.template, speech.bos_token, speech.eos_token, speech.adds_bos)
        ends = speech.end_tokens(generation.get("eos_token_id"))
    return Spoken(template=template, ends=ends, sampling=generation, context_length=source.base.context_length)


def _files(work: Path) -> list[Source]:
    found = []
    for path in sorted(work.rglob("*")):
        if path.is_file():
            state = path.stat()
            name = path.relative_to(work).as_posix()
            found.append(Source(path=path, name=name, size=state.st_size, changed_ns=state.st_mtime_ns))
    return found


def _brought(sources: list[Source], result: ResultFolder, reporter: Reporter) -> dict[str, str]:
    """Bring the files into the result's folder: by a rename on the same disk, else copied and read back."""
    total = sum(file.size for file in sources)
    if sources[0].path.stat().st_dev == result.part.stat().st_dev:
        reporter.stage("Reading it back")
        progress = ByteProgress(reporter, total)
        for file in sources:
            (result.part / file.name).parent.mkdir(parents=True, exist_ok=True)
            file.path.replace(result.part / file.name)
        return {file.name: file_digest(result.part / file.name, progress, from_disk=True) for file in sources}
    check_space(total, result.part)
    progress = ByteProgress(reporter, 2 * total)  # once over, once back
    reporter.stage(f"Copying to {result.final.parent}")
    digests = copy_files(sources, result.part, progress)
    reporter.stage("Reading it back")
    check_copies(result.part, digests, progress)
    (result.part / JOURNAL).unlink(missing_ok=True)
    return digests
