"""How a name becomes numbers: one spelling for training and for serving.

Both sides must fold and encode a name alike, or a model would be asked about letters that it has
never seen. That is why the rules stand here, and nowhere else.
"""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ALPHABET = " abcdefghijklmnopqrstuvwxyz0123456789'-.,&/"
PADDING = 0
OTHER = len(ALPHABET) + 1
CODES = len(ALPHABET) + 2
LENGTH = 36

_CODE = {character: code for code, character in enumerate(ALPHABET, start=1)}
_PLAIN = str.maketrans(
    "ıłøđ\u2018\u2019", "ilod''"
)  # what Unicode does not see as a letter with a mark
_BRACKETS = re.compile(r"\([^)]*\)")


def fold(name: str) -> str:
    """Strip what tells the source and not the kind: capitals, accents, bracketed remarks."""
    plain = unicodedata.normalize("NFKD", name).casefold().translate(_PLAIN)
    letters = "".join(character for character in plain if not unicodedata.combining(character))
    return " ".join(_BRACKETS.sub(" ", letters).split())


def fits(folded: str) -> bool:
    """Tell whether a model would read all of a name; of a longer one it sees the start."""
    return 0 < len(folded) <= LENGTH - 2


def encode(names: Sequence[str]) -> NDArray[np.uint8]:
    """Return one row of character codes a name; a space at both ends marks where it stops."""
    codes: NDArray[np.uint8] = np.full((len(names), LENGTH), PADDING, dtype=np.uint8)
    for row, name in enumerate(names):
        spelled = f" {fold(name)} "[:LENGTH]
        codes[row, : len(spelled)] = [_CODE.get(character, OTHER) for character in spelled]
    return codes
