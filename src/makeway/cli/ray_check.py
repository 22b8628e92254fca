"""The check of `makeway doctor` on a Ray cluster: each node is asked what it sees.

Only where workers are to live on Ray (`executor.kind`), or did so in this store. A node answers
with its version of makeway and whether the store is there, which no file can tell from here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from makeway import __version__
from makeway.cli.checks import Finding
from makeway.cli.configured import configured
from makeway.cli.connect import Asked
from makeway.errors import Unavailable
from makeway.executor.door import FILE as DOOR
from makeway.executor.envoy import Echo, Echoed, Envoy, RayNode
from makeway.live.settings import ExecutorKind
from makeway.policy.say import count_of

ANSWER_S = 20.0


def ray(whom: Asked) -> Iterator[Finding]:
    """Look whether Ray can be reached, and whether its nodes can do what they are wanted for."""
    wanted = configured({}, cluster=False).executor
    if wanted.kind is ExecutorKind.LOCAL and not (whom.store / DOOR).exists():
        return
    try:
        envoy = Envoy(wanted.ray_address, "makeway-doctor")
        nodes = envoy.connected().nodes
    except Unavailable as error:
        yield _finding("fail", f"{wanted.ray_address}: {error.problem}", error.hint)
        return
    try:
        if not nodes:
            advice = "let machines join: ray start --address HEAD:6379"
            yield _finding("warn", "Ray has no node that could work", advice)
        for node in nodes:
            envoy.ask(Echo(node_id=node.node_id, path=str(whom.store)))
        answers = _answers(envoy, len(nodes))
    finally:
        envoy.close()
    found = [_of_node(node, answers.get(node.node_id), str(whom.store)) for node in nodes]
    wrong = [one for one in found if one.state != "ok"]
    yield from wrong
    if nodes and not wrong:
        text = f"{count_of(len(nodes), 'node')}, all of version {__version__}, all see the store"
        yield _finding("ok", text)


def _answers(envoy: Envoy, wanted: int) -> dict[str, Echoed]:
    answers: dict[str, Echoed] = {}
    until = time.monotonic() + ANSWER_S
    while len(answers) < wanted and (left_s := until - time.monotonic()) > 0:
        envoy.socket.settimeout(left_s)
        said = envoy.words()
        if said is None:
            break
        answers |= {one.node_id: one for one in said if isinstance(one, Echoed)}
    return answers


def _of_node(node: RayNode, answer: Echoed | None, store: str) -> Finding:
    name = node.node.name
    if answer is None:
        advice = "is makeway installed there, in the environment of ray start?"
        return _finding("fail", f"node {name} has not answered for {ANSWER_S:.0f} s", advice)
    if answer.version != __version__:
        advice = f"install {__version__} there, as it is here"
        return _finding("fail", f"node {name} has makeway {answer.version}", advice)
    if not answer.sees:
        advice = "put it where all nodes see it, at the same path"
        return _finding("fail", f"node {name} does not see {store}", advice)
    return _finding("ok", f"node {name}")


def _finding(state: str, text: str, advice: str = "") -> Finding:
    return Finding(check="ray", state=state, text=text, advice=advice)
