"""Read a vocabulary from `tokenizer.model`, for folders of older models that have no tokenizer.json."""

from pathlib import Path
from typing import Any

from gguf import TokenType
from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2

from desktop_app.errors import ModelError
from desktop_app.training_data.tokenizer_files import read_config

_GET_AGAIN = "Get the model again, with all of its files."
_BPE = sentencepiece_model_pb2.TrainerSpec.BPE
_ADDED_SCORE = -1000.0
# Pieces by sentencepiece's own numbers of their kinds are GGUF's too: normal 1, unknown 2, control 3, user-defined 4,
# unused 5, byte 6.


def sentencepiece_pieces(folder: Path) -> tuple[list[str], list[TokenType], list[float], dict[str, Any]]:
    """Return tokens, kinds, scores, and whether a text begins with a space of the tokenizer's own.

    Raises:
        ModelError: the file is damaged or of another kind than BPE.
    """
    file = folder / "tokenizer.model"
    proto = sentencepiece_model_pb2.ModelProto()
    try:
        content = file.read_bytes()
        SentencePieceProcessor(model_proto=content)
        proto.ParseFromString(content)
    except Exception as error:  # sentencepiece and protobuf each raise their own
        raise ModelError(f"{file} is damaged: {str(error)[:200]}.", _GET_AGAIN) from error
    if proto.trainer_spec.model_type != _BPE:
        raise ModelError(f"{file.name} is not of the kind BPE, the only one that can be written as GGUF.", _GET_AGAIN)
    tokens = [piece.piece for piece in proto.pieces]
    kinds = [TokenType(piece.type) for piece in proto.pieces]
    scores = [piece.score for piece in proto.pieces]
    for number, token, is_special in _added(folder):
        while len(tokens) <= number:
            tokens.append(f"[PAD{len(tokens)}]")
            kinds.append(TokenType.UNUSED)
            scores.append(-10_000.0)
        if kinds[number] != TokenType.UNKNOWN:
            tokens[number] = token
            kinds[number] = TokenType.CONTROL if is_special else TokenType.USER_DEFINED
            scores[number] = _ADDED_SCORE
    return tokens, kinds, scores, {"adds_space": bool(proto.normalizer_spec.add_dummy_prefix)}


def _added(folder: Path) -> list[tuple[int, str, bool]]:
    """List the tokens that were added later: number, text, whether special."""
    listed = read_config(folder, "tokenizer_config.json").get("added_tokens_decoder") or {}
    added = [(int(number), str(token["content"]), bool(token.get("special"))) for number, token in listed.items()]
    known = {number for number, _, _ in added}
    older = read_config(folder, "added_tokens.json")
    return sorted([*added, *((number, text, False) for text, number in older.items() if number not in known)])
