"""What the served models say together, as a table for a person."""

from collections.abc import Sequence

from tag_server import Answer


def tag_table(answers: Sequence[Sequence[Answer]]) -> str:
    """Average what the models say about each name; tell where they disagree."""
    rows = [("NAME", "TAG", "SURE", "")]
    rows.extend(_row(opinions) for opinions in zip(*answers, strict=True))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _row(opinions: Sequence[Answer]) -> tuple[str, str, str, str]:
    kinds = opinions[0]["probabilities"]
    mean = {
        kind: sum(opinion["probabilities"][kind] for opinion in opinions) / len(opinions)
        for kind in kinds
    }
    tag = _likeliest(mean)
    return opinions[0]["name"], tag, f"{mean[tag]:4.0%}", _disagreement(opinions)


def _disagreement(opinions: Sequence[Answer]) -> str:
    tags = {opinion["model"]: _likeliest(opinion["probabilities"]) for opinion in opinions}
    if len(set(tags.values())) == 1:
        return ""
    return "disputed: " + ", ".join(f"{model} says {tag}" for model, tag in tags.items())


def _likeliest(probabilities: dict[str, float]) -> str:
    return max(probabilities, key=probabilities.__getitem__)
