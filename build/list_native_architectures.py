"""Write `desktop_app/library/native_architectures.py` from the installed transformers.

Run it after every change of the transformers pin: `.venv/bin/python build/list_native_architectures.py`.
The program itself must not import transformers to know these names.
"""

import textwrap
from importlib.metadata import version
from pathlib import Path

from transformers import AutoConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

TARGET = Path(__file__).resolve().parents[1] / "desktop_app" / "library" / "native_architectures.py"
TEMPLATE = '''"""The model types that the pinned transformers loads with its own classes, without code from a folder.

Written by build/list_native_architectures.py; not by hand.
"""

TRANSFORMERS_VERSION = "{version}"

_CAUSAL = """
{causal}
"""
_OTHER = """
{other}
"""
# Types that can be loaded as a causal language model, which is what this program trains and quantizes.
CAUSAL_LANGUAGE_MODELS = frozenset(_CAUSAL.split())
# Everything else that transformers knows: models with an encoder, image and sound models, models of several parts.
OTHER_MODELS = frozenset(_OTHER.split())
'''


def main() -> None:
    causal = {name for name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES if not _has_encoder(name)}
    text = TEMPLATE.format(
        version=version("transformers"), causal=_wrapped(causal), other=_wrapped(set(CONFIG_MAPPING_NAMES) - causal)
    )
    TARGET.write_text(text, encoding="utf-8", newline="\n")
    print(f"{TARGET}: {len(causal)} causal language models of {len(CONFIG_MAPPING_NAMES)} types")


def _has_encoder(model_type: str) -> bool:
    """Whether models of this type answer an encoder (bart, whisper): half of them would be left out silently."""
    try:
        return bool(getattr(AutoConfig.for_model(model_type), "is_encoder_decoder", False))
    except Exception:  # noqa: BLE001 - a config without defaults
        return False


def _wrapped(names: set[str]) -> str:
    return textwrap.indent(
        textwrap.fill(" ".join(sorted(names)), width=112, break_long_words=False, break_on_hyphens=False), "    "
    )


if __name__ == "__main__":
    main()
