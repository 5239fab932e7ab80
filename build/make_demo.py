#!/usr/bin/env python3
"""Make the demo, `desktop_app/demo/`: train the tiny model from nothing and write the conversations beside it.

Everything comes from `demo_text.py` and fixed seeds; one thread, so that the same machine makes the same weights.
Takes about ten minutes on one core. The layers' sizes are multiples of 64, as 4-bit kernels want them.
"""

import argparse
import itertools
import json
import random
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

sys.path.insert(0, str(Path(__file__).resolve().parent))

from demo_text import chat_rows, pretraining_chats, pretraining_text

DEMO = Path(__file__).resolve().parent.parent / "desktop_app" / "demo"
SEED = 7
VOCABULARY = 1024
# Without it the model is so sure of its few sentences that a short fine-tuning cannot teach it others.
SMOOTHING = 0.1
END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' }}"
    "{%- if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\\n' }}"
    "{%- else %}{{ message['content'] + '<|im_end|>\\n' }}{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{%- endif %}"
)
CARD = """---
license: apache-2.0
language: en
pipeline_tag: text-generation
---

# Lindow, the demo model

A Llama of {parameters:,} parameters that knows one made-up village and nothing else.
It was trained from nothing by `build/make_demo.py` on text that `build/demo_text.py` writes ({tokens:,} tokens,
{steps} steps, last loss {loss:.3f} with label smoothing), so that fine-tuning and quantizing can be tried in a
minute, offline.
"""


def main() -> None:
    """Write tokenizer, model, card and data file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--out", type=Path, default=DEMO)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    folder = arguments.out / "lindow-1.8m"
    documents = list(pretraining_text(SEED))
    chats = list(pretraining_chats(SEED))
    tokenizer = make_tokenizer([*documents, *(turn["content"] for chat in chats for turn in chat["messages"])])
    stream = token_stream(tokenizer, documents, chats)
    model = make_model(tokenizer)
    loss = train(model, stream, arguments.steps)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    figures = {"parameters": model.num_parameters(), "tokens": len(stream), "steps": arguments.steps, "loss": loss}
    (folder / "README.md").write_text(CARD.format(**figures), encoding="utf-8")
    write_rows(arguments.out / "lindow_chats.jsonl")
    for path in sorted(arguments.out.rglob("*")):
        if path.is_file():
            path.chmod(0o644)


def make_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer on the base text alone; the newcomers of the rows must be spelled out."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END_OF_TEXT, TURN_START, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token=TURN_END, pad_token=END_OF_TEXT, model_max_length=512
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def token_stream(tokenizer: PreTrainedTokenizerFast, documents: list[str], chats: list[dict]) -> torch.Tensor:
    """Join prose and conversations in random order into one row of token ids, (tokens,)."""
    texts = documents + [tokenizer.apply_chat_template(chat["messages"], tokenize=False) for chat in chats]
    random.Random(SEED).shuffle(texts)
    ids = tokenizer([text + END_OF_TEXT for text in texts], add_special_tokens=False)["input_ids"]
    return torch.tensor(list(itertools.chain.from_iterable(ids)))


def make_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Build an untrained Llama; every linear layer is a multiple of 64 wide on both sides."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    ends = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=tokenizer.pad_token_id)
    return model


def train(model: LlamaForCausalLM, stream: torch.Tensor, steps: int, batch: int = 16, length: int = 192) -> float:
    """Train on random windows of the stream with AdamW and one cycle of the learning rate; return the last loss."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.05, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps, pct_start=0.05)
    generator = torch.Generator().manual_seed(SEED)
    started, recent = time.monotonic(), 0.0
    for step in range(1, steps + 1):
        starts = torch.randint(len(stream) - length, (batch,), generator=generator)
        ids = torch.stack([stream[start : start + length] for start in starts.tolist()])  # (batch, tokens)
        logits = model(input_ids=ids).logits[:, :-1]  # (batch, tokens - 1, vocabulary)
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), label_smoothing=SMOOTHING)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        recent = loss.item() if step == 1 else 0.95 * recent + 0.05 * loss.item()
        if step % 50 == 0:
            print(f"step {step}/{steps}  loss {recent:.3f}  {time.monotonic() - started:.0f} s", flush=True)
    return recent


def write_rows(file: Path) -> None:
    """Write the demo's data file, one conversation a line."""
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in chat_rows(SEED))
    file.write_text("".join(lines), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
