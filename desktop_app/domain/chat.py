"""What is asked of a loaded model in a conversation, and what it answers."""

import secrets
from typing import Literal

from pydantic import Field

from .value import Value

Engine = Literal["transformers", "llama.cpp"]
TRANSFORMERS: Engine = "transformers"
LLAMA_CPP: Engine = "llama.cpp"
Finish = Literal["end", "length", "context", "stop_text", "stopped"]  # context: the model reads no more
LARGEST_SEED = 2**31 - 1


class Speaker(Value):
    """Who answers: a model, an adapter on its base, or with `adapter` False the base in the adapter's template."""

    model: str = Field(min_length=1, description="Folder of a model or adapter, or a GGUF file.")
    adapter: bool = True


class Sampling(Value):
    """How the next token is drawn. The neutral values switch a rule off; the rules apply in transformers' order."""

    temperature: float = Field(
        0.7, ge=0, le=5, description="How freely tokens are drawn; 0 always takes the likeliest."
    )
    top_p: float = Field(
        0.95, gt=0, le=1, description="Draws among the likeliest tokens that together have this share; 1 is off."
    )
    top_k: int = Field(0, ge=0, le=100_000, description="Draws among this many of the likeliest tokens; 0 is off.")
    min_p: float = Field(
        0.0, ge=0, le=1, description="Leaves out tokens less likely than this share of the likeliest; 0 is off."
    )
    repetition_penalty: float = Field(
        1.0, gt=0, le=5, description="Above 1 makes tokens that stand there already less likely; 1 is off."
    )
    max_new_tokens: int = Field(512, ge=1, le=131_072, description="Longest answer in tokens.")
    seed: int | None = Field(
        None,
        ge=0,
        le=LARGEST_SEED,
        description="The same number draws the same answer; a new one each time unless said.",
    )
    stop: tuple[str, ...] = Field((), max_length=16, description="Texts before which the answer ends.")

    def seeded(self) -> "Sampling":
        """Return the same with a seed, drawn now unless one is given."""
        return self if self.seed is not None else self.model_copy(update={"seed": secrets.randbelow(LARGEST_SEED)})


class Answered(Value):
    """An answer and its figures: times in seconds, `first_token_s` from the request on, once the model is there."""

    text: str
    finish: Finish = "end"
    prompt_tokens: int = 0
    tokens: int = 0
    first_token_s: float = 0.0
    seconds: float = 0.0
    seed: int = 0

    @property
    def tokens_per_s(self) -> float:
        """Speed after the first token, 0 if there were not two."""
        spent = self.seconds - self.first_token_s
        return (self.tokens - 1) / spent if self.tokens > 1 and spent > 0 else 0.0


class LoadedModel(Value):
    """The model that the chat's process holds. `memory_bytes`: of its weights, on the device they lie on.

    `engine` computes it; `base` is the folder whose weights they are, `has_own_template` whether it answers in a
    template of its own.
    """

    model: str
    base: str
    name: str
    device: str
    dtype: str
    quantization: str = ""
    memory_bytes: int = 0
    context_length: int = 0
    engine: Engine = TRANSFORMERS
    has_own_template: bool = True
    load_s: float = 0.0
