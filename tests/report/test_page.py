"""The page as text: whole, well-formed, escaped, and without anything from outside."""

import json
import re
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tailwise.errors import TailwiseError
from tailwise.report import Example, Report, render, thumbnail, verdict, write_report
from tailwise.report.words import borders

VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Tags, attributes and text; stops at a tag that is closed out of order."""

    def __init__(self, html):
        super().__init__()
        self.stack, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(html)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.stack.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data):
        self.words.append(data)


def test_page_is_well_formed_and_has_nothing_from_outside(report):
    page = Page(render(report))
    assert not {"script", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in ("src", "href"):
            assert value.startswith("data:"), (tag, value)
    style = "".join(page.words[: page.words.index(report.title) + 2])
    assert "@import" not in style
    assert "url(" not in style


def test_names_from_data_are_shown_and_never_run(report):
    page = Page(render(report))
    words = " ".join(page.words)
    assert report.title in words
    assert report.evaluation["classes"][0] in words
    assert page.tags.count("img") == sum(e.image is not None for e in report.examples)


@pytest.mark.parametrize("report", ["two"], indirect=True)
def test_a_class_in_the_objective_is_written_as_it_is(report):
    page = Page(render(replace(report, objective="f1 of 'Fraud'")))
    assert any(words.startswith("F1 of 'Fraud' on held-out folds") for words in page.words)


def test_a_warning_tells_where_plain_training_does_better(report):
    said = "plain training does better on these test examples"
    (objective, ours), *_ = report.evaluation["overall"].items()
    overall = {**report.evaluation["overall"], objective: {**ours, "value": ours["value"] + 0.1}}
    for baseline in (None, report.evaluation, {**report.evaluation, "overall": overall}):
        page = Page(render(replace(report, objective=objective, baseline=baseline)))
        behind = baseline is not None and baseline is not report.evaluation
        assert any(said in words for words in page.words) == behind


def test_every_section_that_has_something_to_say_is_there(report):
    ids = {value for tag, name, value in Page(render(report)).attributes if tag == "h2" and name == "id"}
    of_sets = "average_precision" in report.evaluation["per_class"][0]
    expected = {"distribution", "numbers"} | ({"average_precision"} if of_sets else {"recall", "confusion"})
    expected |= {"calibration"} if report.evaluation.get("reliability") else set()
    expected |= {"recipes", "made"} if report.comparison else set()
    expected |= {"errors"} if report.examples else set()
    assert ids == expected


def test_pictures_have_titles_and_images_have_words(report):
    page = Page(render(report))
    labelled = [value for tag, name, value in page.attributes if tag == "svg" and name == "aria-label"]
    assert len(labelled) == page.tags.count("svg") > 0
    assert all(labelled)
    assert sum(name == "alt" for _, name, _ in page.attributes) == page.tags.count("img")


def test_no_number_is_nan_or_infinite(report):
    assert not re.search(r"\b(nan|inf|None)\b", re.sub(r"data:image[^\"]*", "", render(report)))


def test_report_survives_json(report):
    again = Report.from_dict(json.loads(json.dumps(report.to_dict(), allow_nan=False)))

    def same(html):
        return re.sub(r"plot-\d+", "plot", html)

    assert same(render(again)) == same(render(report))


def test_file_is_written_whole(report, tmp_path):
    write_report(tmp_path / "report.html", report)
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert len(list(tmp_path.iterdir())) == 1


def test_evaluation_that_lacks_something_is_named():
    with pytest.raises(TailwiseError, match="needs 'by_group'"):
        render(Report("x", {"overall": {}}))


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ([500, 50, 5], "many-shot: more than 100 examples; few-shot: fewer than 20"),
        ([9000, 1000, 1000], "many-shot: more than 5,000 examples; few-shot: fewer than 5,001"),
        ([2, 1, 1], "many-shot: more than 1 example; few-shot: fewer than 2"),
        ([950, 50], "of two classes the larger is many-shot and the smaller few-shot"),
        ([7, 7, 7], "all classes have the same number of examples, so all are medium-shot"),
    ],
)
def test_the_borders_of_the_groups_are_told(counts, sentence):
    assert borders(counts) == sentence


def _evaluation(many, few, spread=0.01):
    def estimate(value):
        return {"accuracy": {"value": value, "low": value - spread, "high": value + spread}}

    return {
        "classes": list("abcd"),
        "groups": {"many": [0, 1], "few": [2, 3]},
        "by_group": {"many": estimate(many), "few": estimate(few)},
    }


def test_verdict_says_what_is_gained_lost_and_unsure():
    plain = _evaluation(0.9, 0.2)
    assert "40 points more than plain training" in verdict(_evaluation(0.85, 0.6), plain)
    assert verdict(_evaluation(0.85, 0.6), plain).endswith("class loses 5 points.")
    assert verdict(_evaluation(0.9, 0.6), plain).endswith("loses nothing.")
    assert "10 points less than plain training;" in verdict(_evaluation(0.9, 0.1), plain)
    assert "intervals overlap" in verdict(_evaluation(0.9, 0.25, 0.05), plain)
    assert "intervals overlap" not in verdict(_evaluation(0.9, 0.6), plain)
    assert "as with plain training" in verdict(plain, plain)


def test_verdict_on_sets_of_labels_is_of_average_precision():
    def of(many, few):
        both = {"many": many, "few": few}
        groups = {
            name: {"average_precision": {"value": v, "low": v - 0.01, "high": v + 0.01}} for name, v in both.items()
        }
        return {"classes": list("abcd"), "groups": {"many": [0, 1], "few": [2, 3]}, "by_group": groups}

    said = verdict(of(0.8, 0.4), of(0.8, 0.3)).replace("\N{NON-BREAKING HYPHEN}", "-")
    assert said.replace("\N{NARROW NO-BREAK SPACE}", " ") == (
        "In the average few-shot class the average precision is 40 %, 10 points more than plain training; "
        "the average many-shot class loses nothing."
    )
    assert "it is 80" in verdict(of(0.8, 0.4))


def test_a_group_of_one_class_is_called_by_its_name():
    two = {**_evaluation(0.9, 0.2), "classes": ["fine", "fraud"], "groups": {"many": [0], "few": [1]}}
    assert verdict(two).replace("\N{NON-BREAKING HYPHEN}", "-").replace("\N{NARROW NO-BREAK SPACE}", " ") == (
        "In the few-shot class, fraud, the model finds 20 % of the examples; "
        "in the many-shot class, fine, it finds 90 %."
    )


@pytest.mark.parametrize(("shape", "size"), [((8, 8), (8, 8)), ((20, 30, 1), (30, 20)), ((300, 200, 3), (64, 96))])
def test_thumbnail_is_a_png_of_the_image_and_not_large(shape, size):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    seen = Image.open(BytesIO(b64decode(thumbnail(image).removeprefix("data:image/png;base64,"))))
    assert (seen.format, seen.size, seen.mode) == ("PNG", size, "RGB" if shape[2:] == (3,) else "L")
    if max(shape) < 96:
        assert (np.asarray(seen) == image.reshape(np.shape(seen))).all()
    else:
        np.testing.assert_allclose(np.asarray(seen).mean(axis=(0, 1)), image.mean(axis=(0, 1)), atol=2)


def test_bad_pictures_are_refused():
    with pytest.raises(TailwiseError, match="uint8 image"):
        thumbnail(np.zeros((4, 4, 3)))
    for shape in ((4, 4, 2), (4, 4, 3, 1), (4,), (0, 4), (0, 4, 3)):
        with pytest.raises(TailwiseError, match="uint8 image"):
            thumbnail(np.zeros(shape, np.uint8))
    with pytest.raises(TailwiseError, match="PNG data URI"):
        Example("a", "b", 0.9, image="https://example.org/x.png")
