"""Whetstone: fine-tune and quantize language models on this computer."""

__version__ = "0.1.0"
