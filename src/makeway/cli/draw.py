"""Draw the graph of a run with letters: layers from left to right, edges as lists of names."""

from __future__ import annotations

from makeway.cli.view import RunView

SIGN = {"succeeded": "✔", "cached": "✔", "failed": "✘", "running": "▶", "omitted": "–"}


def draw_graph(view: RunView) -> str:
    """Draw each step in the layer after the last one that it waits for."""
    depth: dict[str, int] = {}
    for step in view.steps:
        depth[step.key] = max((depth[key] + 1 for key in step.after), default=0)
    lines = []
    for layer in range(max(depth.values(), default=-1) + 1):
        for step in view.steps:
            if depth[step.key] == layer:
                sign = SIGN.get(step.phase.value, "·")
                waits = f"  ← {', '.join(step.after)}" if step.after else ""
                lines.append(f"{'   ' * layer}{sign} {step.key} [{step.phase.value}]{waits}")
    return "\n".join(lines)
