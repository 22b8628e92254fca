"""Tell a broken GPU, a program that misused one, and one whose memory is full.

The kernel writes an Xid for what a GPU reports; some numbers mean the device, others the program.
A GPU that is out of memory is the program's own doing, unless another process holds the memory, or
enough of it is reserved and only in pieces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from makeway.health.rules.finding import Finding, Tier, fact
from makeway.health.rules.scene import Scene
from makeway.health.rules.signs import sign_of
from makeway.model.record import Cause, CauseClass

GIB = {"KIB": 2**-20, "MIB": 2**-10, "GIB": 1.0, "TIB": 2.0**10, "BYTES": 2.0**-30, "B": 2.0**-30}
AMOUNT = r"([\d.]*\d)\s*(KiB|MiB|GiB|TiB|bytes|B)\b"
WANTED = re.compile(rf"tried to allocate {AMOUNT}", re.IGNORECASE)
ALLOCATED = re.compile(rf"{AMOUNT} (?:is |already )*allocated(?: by pytorch)?", re.IGNORECASE)
RESERVED = re.compile(rf"{AMOUNT} reserved in total", re.IGNORECASE)
UNALLOCATED = re.compile(rf"{AMOUNT} is reserved by pytorch but unallocated", re.IGNORECASE)
OTHERS = re.compile(rf"(?<!this )process \d+ has {AMOUNT} memory in use", re.IGNORECASE)
FULL = re.compile(r"outofmemory|(?:cuda|hip|gpu) out of memory|_status_alloc_failed", re.IGNORECASE)
DEVICE = (Cause.GPU_HARDWARE, Cause.GPU_USER_FAULT)


def look(scene: Scene) -> Iterator[Finding]:
    """Find what GPUs report."""
    yield from _faults(scene)
    death = scene.first
    if death is None or death.error is None:
        return
    error = death.error
    said = f"{error.type}: {error.message}"
    if FULL.search(error.message) or ("torch" in error.type and FULL.search(error.type)):
        yield full(scene, said, death.error_ref)


def full(scene: Scene, said: str, ref: str, tier: Tier = Tier.EXCEPTION) -> Finding:
    """Judge a GPU whose memory is full, by what the allocator says of itself."""
    told = (fact(said.strip()[:300], ref),)
    sure = "established" if tier is Tier.EXCEPTION else "supported"
    rank = scene.first.rank if scene.first is not None else None
    wanted = _gib(WANTED, said)
    spare = _gib(UNALLOCATED, said)
    reserved, allocated = _gib(RESERVED, said), _gib(ALLOCATED, said)
    if spare is None and reserved is not None and allocated is not None:
        spare = reserved - allocated
    if wanted is not None and spare is not None and spare >= wanted:
        return Finding(
            cause=Cause.GPU_FRAGMENT, tier=tier, evidence=told, rank=rank, once=True, confidence=sure,
            said=f"{spare:.3g} GiB are reserved and free, but not in one piece of {wanted:.3g} GiB",
        )  # fmt: skip
    others = sum(_amount(one) for one in OTHERS.findall(said))
    if wanted is not None and others >= wanted:
        return Finding(
            cause=Cause.OOM_GPU, tier=tier, evidence=told, rank=rank, once=True, confidence=sure,
            said=f"other processes hold {others:.3g} GiB of the GPU",
            cause_class=CauseClass.TEMPORARY, nodes=(scene.node,) if scene.node else (),
            hint="another process holds the GPU; find out whose it is",
        )  # fmt: skip
    more = "" if wanted is None else f"; it wanted another {wanted:.3g} GiB"
    return Finding(
        cause=Cause.OOM_GPU, tier=tier, said=f"the GPU's memory is full{more}",
        evidence=told, rank=rank, confidence=sure,
    )  # fmt: skip


def _faults(scene: Scene) -> Iterator[Finding]:
    """Read what machines, and the kernel's lines in the log, say of their devices."""
    incident = scene.incident
    if scene.ended_well:
        return
    for at, node in enumerate(incident.nodes):
        for place, text in enumerate(node.faults):
            ref = incident.node_ref(at, f"faults[{place}]")
            yield from _device(scene, text, ref, node.name)
    if scene.first is not None:
        for at, line in enumerate(incident.log):
            yield from _device(scene, line, f"log[{at}]", scene.node)
        error = scene.first.error
        if error is not None:
            yield from _device(scene, error.message, f"{scene.first.error_ref}.message", scene.node)


def _device(scene: Scene, text: str, ref: str, node: str | None) -> Iterator[Finding]:
    sign = sign_of(text)
    if sign is None or sign.cause not in DEVICE:
        return
    broken = sign.cause is Cause.GPU_HARDWARE
    if not broken and scene.running:
        return
    where = f" on {node}" if node else ""
    by_kernel = "xid" in text.lower() or ref.startswith("node")
    tier = Tier.KERNEL if by_kernel else Tier.LOG if ref.startswith("log") else Tier.EXCEPTION
    seen = _seen_before(scene, sign.cause)
    yield Finding(
        cause=sign.cause,
        tier=tier,
        said=f"{text.strip()[:160]}{where}",
        evidence=(fact(text.strip()[:200], ref),),
        nodes=(node,) if node else (),
        rank=scene.first.rank if scene.first is not None else None,
        once=not broken,
        cause_class=CauseClass.PERMANENT if not broken and seen else None,
        confidence="supported" if tier is Tier.LOG else "established",
    )


def _seen_before(scene: Scene, cause: Cause) -> bool:
    return any(past.cause is cause for past in scene.incident.history)


def _gib(pattern: re.Pattern[str], text: str) -> float | None:
    found = pattern.search(text)
    return None if found is None else _amount(found.groups())


def _amount(found: tuple[str, ...]) -> float:
    number, unit = found
    return float(number) * GIB[unit.upper()] if number.count(".") < 2 else 0.0
