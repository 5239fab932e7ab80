"""Let a model that is still learning answer the user's prompts, so that one can read what it learns.

Answers are greedy: nothing is drawn at random, so the training goes on as if nobody had asked.
"""

from typing import Any

from desktop_app.domain.data_report import Turn
from desktop_app.domain.event import Sample
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.training_data.tokenization import Tokenization

from .measure import greedy_answer
from .reporter import Reporter


class Samples:
    """The prompts of one training; `tell` has them answered at a step."""

    def __init__(self, spec: FinetuneSpec, tokenization: Tokenization, tokenizer: Any, reporter: Reporter) -> None:
        self._spec = spec
        self._reporter = reporter
        self._tokenizer = tokenizer
        prompts = [text for text in spec.sample_prompts if text.strip()]
        if prompts and spec.objective == "reward":
            reporter.notice(
                "A reward model gives scores and writes nothing, so the prompts are not answered.", "warning"
            )
            prompts = []
        self._prompts = [(text, self._ids(tokenization, text)) for text in prompts]

    def __len__(self) -> int:
        return len(self._prompts)

    def tell(self, model: Any, step: int) -> None:
        """Answer all prompts now and record the answers."""
        was_training = model.training
        model.eval()
        try:
            for text, ids in self._prompts:
                self._reporter.heed_cancel()
                answer = greedy_answer(model, self._tokenizer, text, ids, self._spec.sample_tokens)
                self._reporter.emit(Sample, step=step, prompt=text, answer=answer.answer)
        finally:
            model.train(was_training)

    def _ids(self, tokenization: Tokenization, text: str) -> list[int]:
        prompt = tokenization.template.render((Turn(role="user", text=text),), add_generation_prompt=True).text
        ids: list[int] = self._tokenizer(prompt, add_special_tokens=False)["input_ids"]
        return ids
