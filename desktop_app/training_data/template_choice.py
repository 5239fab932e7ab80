"""The chat templates to choose from, for models without one of their own or for another habit of speech.

Written here after the formats that the families publish; each marks the answers, so that what is learned is exact.
Whatever is chosen is written into the result: the format a model was trained with is the one it answers in.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from desktop_app.domain.finetune_spec import ChatTemplateName

from .chat_template import PLAIN_TEMPLATE, PLAIN_TEMPLATE_WITH_BOS, ChatTemplate, find_chat_template

NAMES: tuple[ChatTemplateName, ...] = get_args(ChatTemplateName)

_TOKEN = re.compile(r"<\|\w+\|>|<(?:start|end)_of_turn>")

_CHATML = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\n' }}"
    "{%- if message['role'] == 'assistant' %}"
    "{%- generation %}{{- message['content'] + '<|im_end|>' }}{%- endgeneration %}{{- '\n' }}"
    "{%- else %}{{- message['content'] + '<|im_end|>\n' }}{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
_LLAMA3 = (
    "{{- bos_token }}"
    "{%- for message in messages %}"
    "{{- '<|start_header_id|>' + ('ipython' if message['role'] == 'tool' else message['role']) }}"
    "{{- '<|end_header_id|>\n\n' }}"
    "{%- if message['role'] == 'assistant' %}"
    "{%- generation %}{{- message['content'] | trim + '<|eot_id|>' }}{%- endgeneration %}"
    "{%- else %}{{- message['content'] | trim + '<|eot_id|>' }}{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)
# System text stands before the first question, as Mistral and Gemma have it.
_SYSTEM_FIRST = (
    "{%- set first = namespace(text='') %}"
    "{%- for message in messages %}"
    "{%- if message['role'] == 'system' %}{%- set first.text = message['content'] + '\n\n' %}"
)
_MISTRAL = (
    "{{- bos_token }}" + _SYSTEM_FIRST + "{%- elif message['role'] == 'assistant' %}"
    "{%- generation %}{{- ' ' + message['content'] | trim + eos_token }}{%- endgeneration %}"
    "{%- else %}{{- '[INST] ' + first.text + message['content'] | trim + ' [/INST]' }}"
    "{%- set first.text = '' %}{%- endif %}"
    "{%- endfor %}"
)
_GEMMA = (
    "{{- bos_token }}" + _SYSTEM_FIRST + "{%- elif message['role'] == 'assistant' %}{{- '<start_of_turn>model\n' }}"
    "{%- generation %}{{- message['content'] | trim + '<end_of_turn>' }}{%- endgeneration %}{{- '\n' }}"
    "{%- else %}{{- '<start_of_turn>user\n' + first.text + message['content'] | trim + '<end_of_turn>\n' }}"
    "{%- set first.text = '' %}{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<start_of_turn>model\n' }}{%- endif %}"
)
_PHI = (
    "{%- for message in messages %}"
    "{{- '<|' + message['role'] + '|>\n' }}"
    "{%- if message['role'] == 'assistant' %}"
    "{%- generation %}{{- message['content'] + '<|end|>' }}{%- endgeneration %}{{- '\n' }}"
    "{%- else %}{{- message['content'] + '<|end|>\n' }}{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>\n' }}{%- endif %}"
)
_ALPACA = (
    "{{- bos_token }}"
    "{%- for message in messages %}"
    "{%- if message['role'] == 'system' %}{{- message['content'] + '\n\n' }}"
    "{%- elif message['role'] == 'assistant' %}{{- '### Response:\n' }}"
    "{%- generation %}{{- message['content'] + eos_token }}{%- endgeneration %}{{- '\n\n' }}"
    "{%- else %}{{- '### Instruction:\n' + message['content'] + '\n\n' }}{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '### Response:\n' }}{%- endif %}"
)
_ZEPHYR = (
    "{%- for message in messages %}"
    "{{- '<|' + message['role'] + '|>\n' }}"
    "{%- if message['role'] == 'assistant' %}"
    "{%- generation %}{{- message['content'] + eos_token }}{%- endgeneration %}{{- '\n' }}"
    "{%- else %}{{- message['content'] + eos_token + '\n' }}{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>\n' }}{%- endif %}"
)
_VICUNA = (
    "{{- bos_token }}"
    "{%- for message in messages %}"
    "{%- if message['role'] == 'system' %}{{- message['content'] + '\n\n' }}"
    "{%- elif message['role'] == 'assistant' %}{{- 'ASSISTANT: ' }}"
    "{%- generation %}{{- message['content'] + eos_token }}{%- endgeneration %}{{- '\n' }}"
    "{%- else %}{{- 'USER: ' + message['content'] + '\n' }}{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- 'ASSISTANT: ' }}{%- endif %}"
)
_SOURCES: dict[ChatTemplateName, str] = {
    "chatml": _CHATML,
    "llama3": _LLAMA3,
    "mistral": _MISTRAL,
    "gemma": _GEMMA,
    "phi": _PHI,
    "alpaca": _ALPACA,
    "zephyr": _ZEPHYR,
    "vicuna": _VICUNA,
}


def template_tokens(source: str) -> list[str]:
    """Return what looks like special tokens in a template's text."""
    return list(dict.fromkeys(_TOKEN.findall(source)))


def chosen_template(
    folder: Path, config: Mapping[str, Any], named: Mapping[str, str], name: ChatTemplateName, adds_bos: bool
) -> ChatTemplate:
    """Compile the chosen template for a model; `named` are its special tokens, of which some may be missing.

    `adds_bos`: its tokenizer begins every text with a token of its own.

    Raises:
        ModelError: the model's own template is damaged.
    """
    tokens = {"bos_token": "", "eos_token": "", **named}
    plain = PLAIN_TEMPLATE_WITH_BOS if adds_bos else PLAIN_TEMPLATE
    if name == "own":
        own = find_chat_template(folder, config)
        return ChatTemplate(own or plain, named if own else tokens, is_plain=not own)
    if name == "plain":
        return ChatTemplate(plain, tokens, is_plain=True)
    return ChatTemplate(_SOURCES[name], tokens)
