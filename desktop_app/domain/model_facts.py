"""What a model folder says about itself, read from headers alone."""

from typing import Literal

from .value import Value

ModelKind = Literal["base", "adapter", "gguf", "onnx"]


class Matrix(Value):
    """One matrix of a model's layers, `count` times in the whole model; `is_linear`: a layer that adapters can join."""

    name: str
    out: int
    into: int
    count: int
    is_linear: bool = True

    @property
    def weights(self) -> int:
        """How many weights all of them hold."""
        return self.out * self.into * self.count


class ModelShape(Value):
    """The sizes that decide how much memory a model takes; 0 where the config does not say.

    `matrices` are those of the layers, exact, and empty where nobody has counted them: `unknown_because` says why.
    `experts` stand in a layer, of which a token passes `experts_per_token`.
    `has_dropout`: training drops some values at random.
    `tables` are the matrices outside the layers by the files: the embedding of the tokens, the output layer.
    """

    hidden_size: int = 0
    layers: int = 0
    heads: int = 0
    kv_heads: int = 0
    head_dim: int = 0
    intermediate_size: int = 0
    vocab_size: int = 0
    tied_embeddings: bool = False
    experts: int = 0
    experts_per_token: int = 0
    has_dropout: bool = False
    matrices: tuple[Matrix, ...] = ()
    unknown_because: str = ""
    tables: tuple[Matrix, ...] = ()


class ModelOrigin(Value):
    """Where a model came from, by the manifest that its job wrote beside it; '' where that does not say.

    `kind` is the kind of job, `source` the folder, file or repository that it was made from, `method` how.
    """

    kind: str
    job: str = ""
    source: str = ""
    data: str = ""
    method: str = ""


class ModelFacts(Value):
    """One model on this computer. Sizes in bytes, `context_length` in tokens, 0 where unknown.

    `problem` is empty for a model that can be used; otherwise it says what is wrong and `hint` what to do.
    `store` names the program whose cache it lies in, `pickle` the old weight file that could be converted.
    """

    path: str
    name: str
    kind: ModelKind = "base"
    architecture: str = ""
    model_type: str = ""
    parameters: int = 0
    dtype: str = ""
    quantization: str = ""
    context_length: int = 0
    size_bytes: int = 0
    has_chat_template: bool = False
    licence: str = ""
    base_model: str = ""
    shape: ModelShape = ModelShape()
    origin: ModelOrigin | None = None
    store: str = ""
    pickle: str = ""
    problem: str = ""
    hint: str = ""

    @property
    def original(self) -> str:
        """Folder of the model that this one was made of; its own if that is not known."""
        source = self.base_model if self.kind == "adapter" else self.origin.source if self.origin else ""
        is_made = self.kind != "base" or (self.origin is not None and self.origin.kind in ("finetune", "quantize"))
        return source if is_made and source else self.path

    @property
    def trainable(self) -> str:
        """Folder of the model to train in order to go on from this one: itself, but not a quantized copy or adapter."""
        return self.path if self.kind == "base" and not self.quantization else self.original
