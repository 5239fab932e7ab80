"""Try a written model as its users will: load it again, let it write what the original writes, render its template.

What differs is measured and said in words; only what cannot be loaded or computes nonsense is refused.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from desktop_app.errors import AppError, DataError, ModelError, StorageError
from desktop_app.library.gguf_header import MAX_TEXT_BYTES, read_gguf_header
from desktop_app.training_data.chat_template import ChatTemplate, offered
from desktop_app.training_data.example import Example
from desktop_app.training_data.tokenization import Tokenization

from .foreign_errors import loader_errors_in_words
from .loading import load_model, load_tokenizer

TOKENS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """How the original goes on from a prompt, greedily: its tokens, and fp32 logits (tokens, vocabulary) of each."""

    prompt: list[int]
    tokens: list[int]
    logits: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found, in words, and whether the copy is just like the original."""

    text: str
    is_equal: bool = True


def heard(model: Any, prompt: list[int]) -> Original:
    """Let a model write 64 tokens, always the likeliest and never the end, and remember how sure it was."""
    ids = torch.tensor([prompt], device=next(model.parameters()).device)  # (1, tokens)
    with torch.no_grad():
        out = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            min_new_tokens=TOKENS,
            max_new_tokens=TOKENS,
            pad_token_id=int(_first(model.generation_config.eos_token_id) or 0),
        )
    tokens = out[0, len(prompt) :].tolist()
    return Original(prompt=prompt, tokens=tokens, logits=_logits(model, prompt, tokens))


def compared(model: Any, original: Original) -> Finding:
    """Compare what a loaded copy writes with the original.

    Raises:
        StorageError: its logits are not finite.
    """
    again = heard(model, original.prompt)
    logits = _logits(model, original.prompt, original.tokens)
    if not logits.isfinite().all():
        raise StorageError("Loaded again, its logits are not finite.", "Run it again; if it happens again, report it.")
    if again.tokens == original.tokens:
        return Finding(text=f"loaded again it writes the same {len(original.tokens)} tokens")
    same = next(
        (i for i, pair in enumerate(zip(again.tokens, original.tokens, strict=False)) if pair[0] != pair[1]),
        min(len(again.tokens), len(original.tokens)),
    )
    kl = torch.nn.functional.kl_div(
        logits.log_softmax(-1), original.logits.log_softmax(-1), reduction="batchmean", log_target=True
    )
    agreed = (logits.argmax(-1) == original.logits.argmax(-1)).float().mean()
    return Finding(
        text=f"loaded again it writes the same first {same} of {len(original.tokens)} tokens, then others; along the "
        f"original's text its mean KL divergence is {float(kl):.3g} and its likeliest token the same for "
        f"{float(agreed):.0%}",
        is_equal=False,
    )


def loaded_again(folder: Path, gguf_file: str, device: torch.device, dtype: torch.dtype) -> Any:
    """Load a written folder, or a GGUF file in it, which becomes fp32.

    Raises:
        ModelError: it cannot be loaded.
    """
    if not gguf_file:
        return load_model(folder, device, dtype)
    with loader_errors_in_words(folder / gguf_file):
        model = AutoModelForCausalLM.from_pretrained(
            str(folder), gguf_file=gguf_file, dtype=torch.float32, local_files_only=True, trust_remote_code=False
        )
    return model.to(device).eval()


def same_template(folder: Path, gguf_file: str, tokenization: Tokenization, example: Example) -> Finding:
    """Compare how others will render a conversation with how it was rendered for the training, text and tokens."""
    if example.is_text or tokenization.template.is_plain:
        what = "the model was trained on plain text" if example.is_text else "the model has no chat template"
        return Finding(text=f"left out: {what}")
    wanted = tokenization.encoded(example)
    try:
        text, ids = _of_gguf(folder / gguf_file, example) if gguf_file else _of_folder(folder, tokenization, example)
    except AppError as error:
        return Finding(text=f"differs: {error.message}", is_equal=False)
    except Exception as error:  # noqa: BLE001 - a template is a foreign program and may raise anything
        return Finding(text=f"differs: others cannot render it ({type(error).__name__}: {error})"[:300], is_equal=False)
    if text != wanted.text:
        place = next(
            (i for i, pair in enumerate(zip(text, wanted.text, strict=False)) if pair[0] != pair[1]),
            min(len(text), len(wanted.text)),
        )
        return Finding(
            text=f"differs from character {place:,} on: {text[place : place + 30]!r} in place of "
            f"{wanted.text[place : place + 30]!r}",
            is_equal=False,
        )
    if ids is not None and ids != list(wanted.encoding.ids):
        return Finding(text="renders the same text, but other tokens", is_equal=False)
    return Finding(text=f"renders the same {len(text):,} characters" + (f", {len(ids):,} tokens" if ids else ""))


def _of_folder(folder: Path, tokenization: Tokenization, example: Example) -> tuple[str, list[int] | None]:
    tokenizer = load_tokenizer(folder)
    if not tokenizer.chat_template:
        raise DataError("the tokenizer has no chat template")
    messages = tokenization.template.messages(example.turns)
    text = tokenizer.apply_chat_template(messages, tools=offered(example.tools), tokenize=False)
    return text, tokenizer(text, add_special_tokens=False)["input_ids"]


def _of_gguf(file: Path, example: Example) -> tuple[str, list[int] | None]:
    source = read_gguf_header(file).values.get("tokenizer.chat_template", "")
    if not source or len(source) >= MAX_TEXT_BYTES:
        raise ModelError("the file carries no chat template")
    tokenizer = AutoTokenizer.from_pretrained(
        str(file.parent), gguf_file=file.name, local_files_only=True, trust_remote_code=False
    )
    named = {name: str(token) for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)}
    text = ChatTemplate(source, named).render(example.turns, example.tools).text
    return text, tokenizer(text, add_special_tokens=False)["input_ids"]


def _logits(model: Any, prompt: list[int], tokens: list[int]) -> torch.Tensor:
    """Logits of each token that follows the prompt, fp32 on the CPU, (tokens, vocabulary)."""
    ids = torch.tensor([[*prompt, *tokens]], device=next(model.parameters()).device)  # (1, tokens)
    with torch.no_grad():
        logits = model(input_ids=ids, use_cache=False).logits[0]
    return logits[len(prompt) - 1 : -1].float().cpu()


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value
