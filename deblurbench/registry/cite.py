"""BibTeX of the papers behind methods and datasets, from their cards."""

from __future__ import annotations

import re

from deblurbench import __version__
from deblurbench.errors import UsageError
from deblurbench.registry.cards import PluginCard

JOURNALS = re.compile(r"arXiv|TPAMI|TIP|IJCV|TOG|Transactions|Journal", re.IGNORECASE)
OURS = f"""@software{{deblurbench,
  title = {{deblurbench: a benchmark of video deblurring methods}},
  version = {{{__version__}}},
}}"""
"""The entry of this project; CITATION.cff says the same."""


def bibtex(card: PluginCard) -> str:
    """The entry of a card's paper; its key is the card's name.

    Raises:
        UsageError: the card names no paper (`authors`, `year`, and `doi` or `url`), or several works, as those of
            classical filters do.
    """
    if not (card.authors and card.year and (card.doi or card.url)) or ";" in card.authors:
        raise UsageError(
            f"the card of {card.name!r} names no single paper (authors, year, doi or url): nothing to cite"
        )
    kind, where = ("article", "journal") if JOURNALS.search(card.venue) else ("inproceedings", "booktitle")
    fields = {
        "title": f"{{{card.paper_title or card.title}}}",
        "author": " and ".join(name.strip() for name in card.authors.split(",")),
        where: card.venue,
        "year": str(card.year),
        "doi": card.doi,
        "url": card.url,
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{kind}{{{card.name},", *lines, "}"])
