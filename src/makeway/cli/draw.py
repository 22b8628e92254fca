"""Draw the graph of a run with letters: layers from left to right, edges as lists of names."""

from __future__ import annotations

from makeway.cli.layers import depths, sign
from makeway.cli.view import RunView


def draw_graph(view: RunView) -> str:
    """Draw each step in the layer after the last one that it waits for."""
    depth = depths((step.key, step.after) for step in view.steps)
    lines = []
    for layer in range(max(depth.values(), default=-1) + 1):
        for step in view.steps:
            if depth[step.key] == layer:
                waits = f"  ← {', '.join(step.after)}" if step.after else ""
                lines.append(
                    f"{'   ' * layer}{sign(step.phase)} {step.key} [{step.phase.value}]{waits}"
                )
    return "\n".join(lines)
