"""The page of an evaluation: whole, without a request to anywhere, in figures that people read."""

from desktop_app.domain.advice import advice
from desktop_app.workers.evaluation.page import page_of
from tests.fakes.evaluation_report import about, example_report


def test_large_perplexities_are_plain_numbers_and_an_empty_column_is_left_out() -> None:
    report = example_report("/m")
    models = [model.model_copy(update={"perplexity": about(1512.2)}) for model in report.models]
    report = report.model_copy(update={"models": tuple(models), "advice": tuple(advice(models))})
    page = page_of(report)
    assert "<td>1,512.20" in page and "perplexity 1,512 after 1,512" in page and "e+0" not in page
    assert "In the file" in page and "In Settings, under Account." in page
    bare = [question.model_copy(update={"expected": ""}) for question in report.questions]
    assert "In the file" not in page_of(report.model_copy(update={"questions": tuple(bare)}))


def test_what_a_model_says_is_text_and_the_page_asks_nobody() -> None:
    report = example_report("/m")
    models = [model.model_copy(update={"label": "<img src=x>"}) for model in report.models]
    page = page_of(report.model_copy(update={"models": tuple(models)}))
    assert "<img" not in page and "&lt;img" in page
    assert "http" not in page and "<script" not in page and "url(" not in page
