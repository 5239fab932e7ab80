"""The exact tokens of one row for reading: each in its place, trained or not, the template's own ones marked.

Made from the very encoding that is trained on.
"""

from desktop_app.domain.data_report import ShownToken, TokenView, Turn
from desktop_app.domain.finetune_spec import Objective
from desktop_app.errors import DataError

from .chat_template import calls_as_text
from .example import Example
from .tokenization import Encoded, Tokenization

SHOWN_TOKENS = 4096


def token_view(
    tokenization: Tokenization, example: Example, max_length: int, objective: Objective = "sft"
) -> TokenView:
    """Show what is trained of an example; an objective that compares answers sees each of them after the prompt.

    Raises:
        DataError: if the chat template refuses the conversation, or the example lacks what the objective compares.
        ModelError: if a token has no place in the model's vocabulary.
    """
    if objective != "sft":
        if example.label is None if objective == "kto" else not example.is_pair:
            wanted = "no label" if objective == "kto" else "no chosen and rejected answer"
            raise DataError(f"This row has {wanted}; it is left out in training.", "Choose another objective or data.")
        return _judged(tokenization, example, max_length)
    encoded = tokenization.encoded(example)
    trained = [False] * len(encoded.encoding)
    for first, end in encoded.trained_tokens():
        trained[first:end] = [True] * (end - first)
    limit = len(trained) if example.is_text else max_length  # a text is split and nothing of it lost
    notes = [encoded.note] if encoded.note else []
    if example.is_text and len(trained) > max_length:
        notes.append(f"It is split into {len(tokenization.parts(len(trained), max_length))} parts.")
    return _view(_shown(encoded, trained, limit), (), len(trained), sum(trained[:limit]), limit, notes)


def pieces(encoded: Encoded) -> list[str]:
    """Cut the text into what each token stands for, so that the pieces together are the text again."""
    found: list[str] = []
    reached = 0
    # Each of these attributes is copied out of the library anew when it is asked for.
    offsets, tokens = encoded.encoding.offsets, encoded.encoding.tokens
    for (start, end), token in zip(offsets, tokens, strict=True):
        if start == end:  # a token that the tokenizer adds, such as the one that begins a text
            found.append(token)
            continue
        found.append(encoded.text[reached : max(reached, end)])
        reached = max(reached, end)
    return found


def _judged(tokenization: Tokenization, example: Example, max_length: int) -> TokenView:
    answers = tokenization.answer_tokens(example)
    count = len(answers.prompt_ids)
    sides = [(example.turns, answers.answer_ids)]
    if example.is_pair:
        sides.append(((*example.prompt, *example.rejected), answers.rejected_ids))
    shown = []
    for turns, ids in sides:
        encoded = tokenization.encoded(Example(turns=turns, tools=example.tools))
        trained = [False] * count + [True] * len(ids)
        shown.append(_shown(encoded, trained, max_length))
    notes = ["No answer remains: the prompt alone fills the length."] if count >= max_length else []
    total = count + len(answers.answer_ids)
    trained_count = max(0, min(total, max_length) - count)
    view = _view(shown[0], shown[1] if example.is_pair else (), total, trained_count, max_length, notes)
    return view.model_copy(update={"is_liked": example.label is not False})


def _shown(encoded: Encoded, trained: list[bool], max_length: int) -> tuple[ShownToken, ...]:
    ids, offsets = encoded.encoding.ids, encoded.encoding.offsets
    said = _said(encoded)
    inside = iter(said)
    stretch = next(inside, (len(encoded.text), len(encoded.text)))
    tokens = []
    for index, piece in enumerate(pieces(encoded)[:SHOWN_TOKENS]):
        start, end = offsets[index]
        while stretch[1] <= start and stretch[0] < len(encoded.text):
            stretch = next(inside, (len(encoded.text), len(encoded.text)))
        tokens.append(
            ShownToken(
                text=piece,
                id=ids[index],
                is_trained=trained[index] and index < max_length,
                is_template=not encoded.example.is_text and (end <= stretch[0] or start == end),
                is_cut=index >= max_length,
            )
        )
    return tuple(tokens)


def _said(encoded: Encoded) -> list[tuple[int, int]]:
    """Find the words of the turns in the rendered text, one after another; the rest is the template's."""
    found, place = [], 0
    for turn in encoded.example.turns:
        for said in _words_of(turn):
            start = encoded.text.find(said, place)
            if said and start >= 0:
                place = start + len(said)
                found.append((start, place))
                break
    return found


def _words_of(turn: Turn) -> tuple[str, ...]:
    """What of a turn may stand in the rendering; some templates strip it."""
    calls = calls_as_text(turn.calls) if turn.calls else ""
    return tuple(filter(None, (turn.text, turn.text.strip(), turn.text.rpartition("</think>")[2].strip(), calls)))


def _view(
    tokens: tuple[ShownToken, ...],
    rejected: tuple[ShownToken, ...],
    total: int,
    trained: int,
    limit: int,
    notes: list[str],
) -> TokenView:
    if total > SHOWN_TOKENS:
        notes = [*notes, f"Only the first {SHOWN_TOKENS:,} of {total:,} tokens are shown."]
    return TokenView(
        tokens=tokens,
        count=min(total, limit),
        trained=trained,
        cut=max(0, total - limit),
        rejected=rejected,
        note=" ".join(notes),
    )
