"""BibTeX from cards, and CITATION.cff."""

import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

import deblurbench
from deblurbench.cli import main as command_line
from deblurbench.errors import UsageError
from deblurbench.registry.cards import PluginCard
from deblurbench.registry.cite import OURS, bibtex
from deblurbench.registry.discovery import plugins

CITATION = Path(__file__).resolve().parents[2] / "CITATION.cff"


def run(*names):
    return CliRunner().invoke(command_line.cli, ["cite", *names], standalone_mode=False)


def test_a_variant_and_a_protocol_give_their_cards_papers():
    text = run("ifirnn:C2H3@quick", "gopro:linear", "ifirnn").output
    assert text.count("@inproceedings{ifirnn,") == 1 and text.count("{gopro,") == 1
    assert "author = {Seungjun Nah and Sanghyun Son and Kyoung Mu Lee}," in text
    assert "doi = {10.1109/CVPR.2019.00829}," in text


def test_unknown_names_get_the_nearest_and_a_card_without_a_paper_says_so():
    assert isinstance(error := run("ifrnn").exception, UsageError) and "Did you mean 'ifirnn'" in str(error)
    assert isinstance(error := run("identity").exception, UsageError) and "names no single paper" in str(error)


def test_several_works_are_no_paper():
    card = PluginCard(name="x", entry="m:C", title="T", year=1972, doi="10.1/2", authors="A B; C D")
    with pytest.raises(UsageError, match="no single paper"):
        bibtex(card)


def test_a_dataset_is_cited_by_its_papers_title():
    assert (
        "title = {{Deep Multi-scale Convolutional Neural Network for Dynamic Scene Deblurring}}" in run("gopro").output
    )


@pytest.mark.parametrize("name", [name for room in ("methods", "datasets") for name in plugins(room)])
def test_entries_are_balanced(name):
    try:
        text = bibtex({**plugins("methods"), **plugins("datasets")}[name].card)
    except UsageError:
        return
    assert text.count("{") == text.count("}") and re.match(r"@(article|inproceedings)\{[a-z0-9_-]+,\n", text)


def test_the_project_is_cited_alike_everywhere():
    cited = yaml.safe_load(CITATION.read_text())
    assert cited["version"] == deblurbench.__version__ and f"title = {{{cited['title']}}}" in OURS
    assert run().output.strip() == OURS
