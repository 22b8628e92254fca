"""Three models of growing capacity that tell a name's kind from its characters.

They differ in what they can see: single letters without their order, runs of up to four
characters, or patterns that were learnt. How well each does is measured, never set.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from entity_names import KINDS
from spelling import CODES, PADDING, encode


class LetterCounts(nn.Module):
    """Logistic regression over how often each character occurs."""

    def __init__(self) -> None:
        """Lay out one weight for each character and kind."""
        super().__init__()
        self.score = nn.Linear(CODES, len(KINDS))

    def forward(self, codes: Tensor) -> Tensor:
        """Score the kinds of a batch of names."""
        counts = functional.one_hot(codes, CODES).sum(dim=1).float()
        counts[:, PADDING] = 0.0
        scores: Tensor = self.score(counts)
        return scores


class NgramBag(nn.Module):
    """A small network over the sum of embeddings of all runs of one to four characters."""

    RUNS = (1, 2, 3, 4)
    BUCKETS = 1 << 14
    WIDTH = 16

    def __init__(self) -> None:
        """Lay out the table of embeddings, small at first so that the sum of many stays small."""
        super().__init__()
        self.embeddings = nn.EmbeddingBag(self.BUCKETS, self.WIDTH, mode="sum", padding_idx=PADDING)
        nn.init.normal_(self.embeddings.weight, std=0.05)
        self.score = nn.Sequential(
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(self.WIDTH, 32),
            nn.ReLU(),
            nn.Linear(32, len(KINDS)),
        )

    def forward(self, codes: Tensor) -> Tensor:
        """Score the kinds of a batch of names."""
        buckets = torch.cat([self._buckets(codes, run) for run in self.RUNS], dim=1)
        scores: Tensor = self.score(self.embeddings(buckets))
        return scores

    def _buckets(self, codes: Tensor, run: int) -> Tensor:
        """Hash each run of characters to a row; runs that reach past a name's end are padding."""
        windows = codes.unfold(1, run, 1)
        hashed = torch.zeros_like(windows[..., 0]) + run
        for place in range(run):
            hashed = (hashed * 1_000_003 + windows[..., place]) % 2_147_483_647
        rows = hashed % (self.BUCKETS - 1) + 1
        return rows.masked_fill((windows == PADDING).any(dim=2), PADDING)


class CharacterCnn(nn.Module):
    """A convolutional network: filters that slide over the name and learn what to look for."""

    EMBEDDING = 16
    FILTERS = 80
    WIDTH = 5

    def __init__(self) -> None:
        """Lay out the letters' embeddings, the filters, and what each filter speaks for."""
        super().__init__()
        self.embeddings = nn.Embedding(CODES, self.EMBEDDING, padding_idx=PADDING)
        self.filters = nn.Conv1d(self.EMBEDDING, self.FILTERS, self.WIDTH, padding=self.WIDTH // 2)
        self.score = nn.Sequential(nn.Dropout(0.2), nn.Linear(self.FILTERS, len(KINDS)))

    def forward(self, codes: Tensor) -> Tensor:
        """Score the kinds of a batch of names, by each filter's best match anywhere in a name."""
        letters = self.embeddings(codes).transpose(1, 2)
        best_match = functional.relu(self.filters(letters)).amax(dim=2)
        scores: Tensor = self.score(best_match)
        return scores


MODELS = ("letters", "ngrams", "cnn")


def untrained(model: str) -> nn.Module:
    """Return a tagger of one of the MODELS, with random weights."""
    match model:
        case "letters":
            return LetterCounts()
        case "ngrams":
            return NgramBag()
        case "cnn":
            return CharacterCnn()
        case _:
            problem = f"there is no model {model!r}, only {', '.join(MODELS)}"
            raise ValueError(problem)


def tag(tagger: nn.Module, names: Sequence[str]) -> list[dict[str, float]]:
    """Return for each name how probable each kind is."""
    with torch.inference_mode():
        scores = tagger(torch.from_numpy(encode(names)).long())
    return [
        dict(zip(KINDS, row, strict=True)) for row in functional.softmax(scores, dim=1).tolist()
    ]
