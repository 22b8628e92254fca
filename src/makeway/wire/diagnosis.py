"""Write a diagnosis and its decision as data: what the command prints and a request gets."""

from __future__ import annotations

from makeway.model.record import Decision, Diagnosis
from makeway.model.units import written_size


def written(diagnosis: Diagnosis, decision: Decision) -> dict[str, object]:
    """Give the whole of both as plain values, with the names of the interface."""
    outlook = diagnosis.outlook
    return {
        "cause": diagnosis.cause.value,
        "class": diagnosis.cause_class.value,
        "confidence": diagnosis.confidence,
        "text": diagnosis.text,
        "hint": decision.hint or diagnosis.hint,
        "fingerprint": diagnosis.fingerprint,
        "evidence": [{"text": one.text, "ref": one.ref} for one in diagnosis.evidence],
        "ruled_out": [{"cause": one.cause.value, "why": one.why} for one in diagnosis.ruled_out],
        "cascade": [{"rank": one.rank, "text": one.text} for one in diagnosis.cascade],
        "outlook": {
            "verdict": "unknown" if outlook is None else outlook.verdict,
            "text": "" if outlook is None else outlook.text,
        },
        "decision": written_decision(decision),
    }


def written_decision(decision: Decision) -> dict[str, object]:
    """Give a decision as plain values: times and sizes as a file would say them."""
    memory, every_ms = decision.memory_bytes, decision.sample_interval_ms
    return {
        "action": decision.action,
        "memory": None if memory is None else written_size(memory),
        "resume_from": decision.resume_from,
        "exclude_nodes": list(decision.exclude_nodes),
        "rerun": list(decision.rerun),
        "replace_ranks": list(decision.replace_ranks),
        "after": f"{decision.after_ms / 1000:g}s",
        "sample_interval": None if every_ms is None else f"{every_ms / 1000:g}s",
        "ledger": decision.ledger,
        "ledger_before": _pair(decision.ledger_before),
        "ledger_after": _pair(decision.ledger_after),
        "rule": decision.rule,
    }


def _pair(counts: tuple[int, int | None] | None) -> list[int | None] | None:
    return None if counts is None else list(counts)
