"""What a model folder says about itself, and whether a loader may see it; decided by headers alone.

The one door to models that somebody else made: configs are bounded, links stay at home, shards are complete,
and nothing in the folder is ever run. Weights are never loaded here.
"""

import re
from pathlib import Path
from typing import Any

from desktop_app.domain.model_facts import Matrix, ModelFacts, ModelShape
from desktop_app.errors import ModelError

from .adapter_folder import ADAPTER_CONFIG, read_adapter_config
from .catalogue import gguf_files
from .gguf_header import MAGIC, read_gguf_header
from .json_file import read_json_object, shown
from .licence import stated_licence
from .model_config import CONFIG, ModelConfig, read_model_config, refuse_foreign_code
from .model_files import PICKLE_SUFFIXES, ModelFiles, list_model_files
from .origin import stated_origin
from .quantization import loading_refusal, parameter_count, quantization_name, stored_dtype
from .safetensors_header import Tensor, read_header

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
ONNX = "model.onnx"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
TOKENIZER_CONFIG = "tokenizer_config.json"
GENERATION_CONFIG = "generation_config.json"
PICKLE, PICKLE_INDEX, ADAPTER_PICKLE = "pytorch_model.bin", "pytorch_model.bin.index.json", "adapter_model.bin"
_PART = re.compile(r"(?P<name>.+)-\d{5}-of-(?P<of>\d{5})\.gguf", re.IGNORECASE)
_MOST_PARTS = 1000
_MAX_INDEX_BYTES = 32 * 1024 * 1024
_MAX_GENERATION_CONFIG_BYTES = 2 * 1024 * 1024
_MAX_TOKENIZER_CONFIG_BYTES = 16 * 1024 * 1024
_MAX_TOKENIZER_BYTES = 256 * 1024 * 1024
_GET_SAFETENSORS = (
    "Get the safetensors version of this model; most publishers offer one. "
    "Or convert it: Convert to safetensors, on the Models tab."
)
_PLAIN = {"F32", "F16", "BF16"}
_HEADS = {"lm_head.weight", "embed_out.weight", "output.weight", "language_model.lm_head.weight"}


def model_facts(path: Path) -> ModelFacts:
    """Describe the model in a folder, or a GGUF file.

    A sound model of a kind that cannot be loaded here (GGUF, GPTQ, an encoder) is described with the reason in
    `problem` and `hint`.

    Raises:
        ModelError: nothing there is a model, or it is damaged, incomplete or unsafe to load.
    """
    path = Path(path)
    if _is_gguf(path):
        return _gguf_facts(path, path)
    names = _names_in(path)
    gguf = gguf_files(names)
    if not gguf and names.isdisjoint({CONFIG, ADAPTER_CONFIG}):
        raise _no_model(path.absolute(), names)
    files = list_model_files(path)
    if CONFIG in files.top and ONNX in files.top and files.top.keys().isdisjoint({WEIGHTS, INDEX}):
        return _onnx_facts(files)
    if CONFIG in files.top:
        return _base_facts(files)
    if ADAPTER_CONFIG in files.top:
        return _adapter_facts(files)
    return _gguf_facts(files.folder, files.folder / gguf[0])


def check_model_folder(path: Path) -> ModelFacts:
    """Check that a loader may see this folder, and return its facts; workers call it before any loader.

    Raises:
        ModelError: as `model_facts`, or the model is sound but of a kind that cannot be loaded here.
    """
    facts = model_facts(path)
    if facts.problem:
        raise ModelError(facts.problem, facts.hint)
    return facts


def listed_facts(path: Path) -> ModelFacts:
    """Describe a model for a list: never raises a ModelError, puts what is wrong into `problem` and `hint`."""
    path = Path(path)
    try:
        return model_facts(path)
    except ModelError as error:
        pickle = _pickle(path)
        return ModelFacts(
            path=str(path),
            name=_name(path),
            pickle=pickle,
            size_bytes=_pickle_bytes(path) if pickle else 0,
            problem=error.message,
            hint=error.hint,
        )


def _base_facts(files: ModelFiles) -> ModelFacts:
    config = read_model_config(files.folder)
    tensors = _weights(files)
    tied = config.shape.tied_embeddings or not any(name in _HEADS for name in tensors)
    quantization = quantization_name(config.quantization)
    problem, hint = "", ""
    if not config.is_language_model:
        problem = f"{config.model_type!r} is no language model that writes text; it cannot be loaded here."
        hint = "Choose a causal language model, such as llama, qwen3 or gemma3."
    else:
        problem, hint = loading_refusal(config.quantization)
    return _stated_facts(files, config).model_copy(
        update={
            "parameters": parameter_count(tensors, config.quantization, tied),
            "dtype": stored_dtype(tensors, config.quantization) or config.dtype,
            "quantization": quantization,
            "shape": config.shape.model_copy(update={"tied_embeddings": tied, "tables": _tables(tensors)}),
            "problem": problem,
            "hint": hint,
        }
    )


def _tables(tensors: dict[str, Tensor]) -> tuple[Matrix, ...]:
    """The matrices outside the numbered layers, by the name of their module; none of a model with packed weights."""
    found = []
    for name, tensor in sorted(tensors.items()):
        module, _, part = name.rpartition(".")
        is_table = part == "weight" and len(tensor.shape) == 2 and tensor.dtype in _PLAIN
        if is_table and not any(step.isdigit() for step in module.split(".")):
            out, into = tensor.shape
            found.append(Matrix(name=module.rpartition(".")[2], out=out, into=into, count=1, is_linear=False))
    return tuple(found)


def _onnx_facts(files: ModelFiles) -> ModelFacts:
    config = read_model_config(files.folder)
    facts = _stated_facts(files, config)
    return facts.model_copy(
        update={
            "kind": "onnx",
            "quantization": "ONNX int8" if facts.origin and facts.origin.method == "onnx_int8" else "ONNX",
            "shape": config.shape,
            "problem": "An ONNX model is for onnxruntime; here it can be measured, but not trained, quantized or "
            "talked to.",
            "hint": "Choose the safetensors version of this model.",
        }
    )


def _stated_facts(files: ModelFiles, config: ModelConfig) -> ModelFacts:
    """What config and folder say of a model, whatever form its weights have."""
    return ModelFacts(
        path=str(files.folder),
        name=_name(files.folder),
        architecture=config.architecture,
        model_type=config.model_type,
        context_length=config.context_length,
        size_bytes=files.total_bytes,
        has_chat_template=_has_chat_template(files),
        licence=stated_licence(files.folder, files.top.keys()),
        origin=stated_origin(files.folder),
    )


def _adapter_facts(files: ModelFiles) -> ModelFacts:
    config = read_adapter_config(files.folder)
    if ADAPTER_WEIGHTS not in files.top:
        raise _without_safetensors(files, ADAPTER_WEIGHTS)
    tensors = read_header(files.folder / ADAPTER_WEIGHTS).tensors
    is_lora = config.kind.upper() == "LORA"
    return ModelFacts(
        path=str(files.folder),
        name=_name(files.folder),
        kind="adapter",
        architecture=f"{'LoRA' if is_lora else config.kind}{f' rank {config.rank}' if config.rank else ''}",
        parameters=sum(tensor.elements for tensor in tensors.values()),
        dtype=stored_dtype(tensors, {}),
        size_bytes=files.total_bytes,
        has_chat_template=_has_chat_template(files),
        licence=stated_licence(files.folder, files.top.keys()),
        base_model=config.base_model,
        shape=_shape_of_base(config.base_model),
        origin=stated_origin(files.folder),
        problem="" if is_lora else f"The adapter is of the kind {shown(config.kind)}; only LORA can be loaded here.",
        hint="" if is_lora else "Choose a LoRA adapter.",
    )


def _gguf_facts(path: Path, file: Path) -> ModelFacts:
    header = read_gguf_header(file)
    return ModelFacts(
        path=str(path),
        name=str(header.values.get("general.name") or "")[:120] or _name(path),
        kind="gguf",
        architecture=header.architecture,
        model_type=header.architecture,
        parameters=header.parameters,
        quantization=f"GGUF {header.quantization}".strip(),
        context_length=header.context_length,
        size_bytes=sum(part.stat().st_size for part in gguf_parts(file)),
        origin=stated_origin(file.parent),
        has_chat_template="tokenizer.chat_template" in header.values,
        licence=str(header.values.get("general.license", ""))[:60],
        problem="A GGUF file is for llama.cpp; it cannot be trained or quantized here.",
        hint="Choose the safetensors version of this model.",
    )


def gguf_parts(file: Path) -> list[Path]:
    """Return all parts of a GGUF file that is split into `-00001-of-0000N` and so on, else the file alone."""
    part = _PART.fullmatch(file.name)
    if part is None or not 1 <= int(part["of"]) <= _MOST_PARTS:
        return [file]
    names = (f"{part['name']}-{number:05}-of-{part['of']}.gguf" for number in range(1, int(part["of"]) + 1))
    return [place for name in names if (place := file.with_name(name)).is_file()]


def _is_gguf(path: Path) -> bool:
    """By its name; the blobs of Ollama have none, so by their first bytes."""
    if path.suffix.lower() == ".gguf":
        return path.is_file()
    if not path.name.startswith("sha256") or not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _pickle(folder: Path) -> str:
    """Name the weights in the old format that could be converted, '' if there are none or the config is not sound."""
    for name, config in ((PICKLE_INDEX, CONFIG), (PICKLE, CONFIG), (ADAPTER_PICKLE, ADAPTER_CONFIG)):
        if (folder / name).is_file() and (folder / config).is_file():
            return name
    return ""


def _pickle_bytes(folder: Path) -> int:
    """Size of the weights in the old format; 0 where the folder cannot be listed."""
    try:
        files = list_model_files(folder)
    except ModelError:
        return 0
    return sum(files.top[name] for name in files.pickles)


def _shape_of_base(base_model: str) -> ModelShape:
    """Sizes of the adapter's base where that is a folder on this computer, else unknown."""
    try:
        return read_model_config(Path(base_model)).shape if Path(base_model).is_absolute() else ModelShape()
    except (ModelError, OSError, ValueError):
        return ModelShape()  # the adapter itself is sound; its base is checked when it is loaded


def _weights(files: ModelFiles) -> dict[str, Tensor]:
    """Read the headers of all weights that a loader would read."""
    if WEIGHTS in files.top:
        return read_header(files.folder / WEIGHTS).tensors
    if INDEX in files.top:
        return _shard_tensors(files)
    raise _without_safetensors(files, WEIGHTS)


def _shard_tensors(files: ModelFiles) -> dict[str, Tensor]:
    """Read all shards of the index, and check that each holds exactly what the index says."""
    weight_map = read_json_object(files.folder / INDEX, _MAX_INDEX_BYTES).get("weight_map")
    again = "Get the model again; its download is not complete."
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(f"{INDEX} lists no weights (weight_map is {shown(weight_map)}).", again)
    listed: dict[str, set[str]] = {}
    for name, shard in weight_map.items():
        if not isinstance(shard, str) or not _is_plain_name(shard):
            raise ModelError(
                f"{INDEX} places {shown(name)} in {shown(shard)}, which is no file of this folder.",
                "Do not use this model; get it from a source that you trust.",
            )
        listed.setdefault(shard, set()).add(name)
    tensors: dict[str, Tensor] = {}
    for shard, names in sorted(listed.items()):
        if shard not in files.top:
            raise ModelError(f"{shard} is missing; {INDEX} lists {len(names):,} weights in it.", again)
        held = read_header(files.folder / shard).tensors
        missing = sorted(names - held.keys())
        if missing:
            raise ModelError(f"{shard} does not hold {shown(missing[0])}, which {INDEX} places there.", again)
        tensors |= held
    return tensors


def _is_plain_name(name: str) -> bool:
    """Whether `name` is a file directly in the folder on every system, Windows drives and streams included."""
    return name.endswith(".safetensors") and not any(mark in name for mark in '/\\:\0*?"<>|') and name[0] != "."


def _without_safetensors(files: ModelFiles, wanted: str) -> ModelError:
    if files.pickles:
        return ModelError(
            f"The weights are only there as {files.pickles[0]}, a pickle file, which can run code when it is opened.",
            _GET_SAFETENSORS,
        )
    others = sorted(name for name in files.top if name.endswith(".safetensors"))
    if others and wanted == WEIGHTS:
        return ModelError(
            f"There are {len(others)} safetensors files ({others[0]}, …) but neither {WEIGHTS} nor {INDEX}.",
            f"Get {INDEX} from where the model came from.",
        )
    return ModelError(f"There are no weights: {wanted} is missing.", "Get the model again; its download is incomplete.")


def _names_in(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in folder.iterdir()}
    except NotADirectoryError as error:
        raise ModelError(
            f"{folder} is a file; a model is a folder.", f"Choose the folder that holds {CONFIG}."
        ) from error
    except FileNotFoundError as error:
        raise ModelError(f"{folder} does not exist.", f"Choose the folder that holds {CONFIG}.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelError(f"{folder} cannot be read: {reason}.", "Check that you may read the folder.") from error


def _no_model(folder: Path, names: set[str]) -> ModelError:
    pickles = sorted(name for name in names if name.endswith(PICKLE_SUFFIXES))
    if pickles:
        return ModelError(f"{folder} has {pickles[0]} but no {CONFIG}.", _GET_SAFETENSORS)
    snapshots = sorted((folder / "snapshots").glob("*/" + CONFIG))
    inside = snapshots or sorted(folder.glob("*/" + CONFIG))
    hint = f"Choose {inside[0].parent} instead." if inside else f"Choose the folder that holds {CONFIG}."
    return ModelError(f"{folder} holds no model: there is no {CONFIG}.", hint)


def _has_chat_template(files: ModelFiles) -> bool:
    """Check the small files beside the weights, and tell whether they hold a chat template."""
    if files.top.get("tokenizer.json", 0) > _MAX_TOKENIZER_BYTES:
        raise ModelError(
            f"tokenizer.json has {files.top['tokenizer.json']:,} bytes; at most {_MAX_TOKENIZER_BYTES:,} are read.",
            "Get the model again from where it came from.",
        )
    if GENERATION_CONFIG in files.top:
        generation = read_json_object(files.folder / GENERATION_CONFIG, _MAX_GENERATION_CONFIG_BYTES)
        refuse_foreign_code(generation, GENERATION_CONFIG)
    template: Any = None
    if TOKENIZER_CONFIG in files.top:
        tokenizer = read_json_object(files.folder / TOKENIZER_CONFIG, _MAX_TOKENIZER_CONFIG_BYTES)
        refuse_foreign_code(tokenizer, TOKENIZER_CONFIG)
        template = tokenizer.get("chat_template")
        _check_template_names(template)
    return bool(template) or "chat_template.jinja" in files.top or "chat_template.json" in files.top


def _check_template_names(templates: Any) -> None:
    """Refuse names of chat templates that are paths: saving the tokenizer writes a file for each name."""
    for entry in templates if isinstance(templates, list) else ():
        name = entry.get("name") if isinstance(entry, dict) else entry
        if not isinstance(name, str) or not name or any(mark in name for mark in "/\\:\0") or name[0] == ".":
            raise ModelError(
                f"{TOKENIZER_CONFIG} names a chat template {shown(name)}, which is no plain name.",
                "Do not use this model; get it from a source that you trust.",
            )


def _name(path: Path) -> str:
    """Name a model after its folder; in a Hugging Face cache after its repository, `owner/model`."""
    parts = path.absolute().parts
    if len(parts) >= 3 and parts[-2] == "snapshots" and parts[-3].startswith("models--"):
        return parts[-3].removeprefix("models--").replace("--", "/")
    return path.stem if path.suffix.lower() == ".gguf" else path.absolute().name
