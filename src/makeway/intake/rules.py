"""Read the settings of the policy: `policy:` of a scenario or of the configuration.

Takes:   an `Item`, a mapping; the names of the policies that there are; what an absent key means
Gives:   Rules
Raises:  InvalidInput, with the place
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from makeway.intake.located import Item, option
from makeway.model.rules import PastUsage, Preemption, Rules, Scope

DEFAULTS = Rules()
KEYS = (
    "name", "priority_scope", "classes", "preemption", "backfill", "consolidate", "usage",
    "enforce_time_limits",
)  # fmt: skip
USAGE_KEYS = (
    "half_life", "weight", "fair_tree", "told_every", "inverse", "entry", "charge_min",
)  # fmt: skip


def rules_of(item: Item, names: Sequence[str], defaults: Rules = DEFAULTS) -> Rules:
    """Read the settings of the policy; `names` are those of the policies that there are."""
    fields, known = item.fields(KEYS, "policy"), dict[str, object]()
    if (name := option(fields, "name")) is not None:
        known["name"] = name.one_of(names, "policy")
    if (scope := option(fields, "priority_scope")) is not None:
        known["priority_scope"] = Scope(scope.one_of(tuple(Scope), "priority_scope"))
    if (classes := option(fields, "classes")) is not None:
        known |= _classes(classes, defaults)
    if (preemption := option(fields, "preemption")) is not None:
        known["preemption"] = _preemption(preemption, defaults.preemption)
    if (backfill := option(fields, "backfill")) is not None:
        inner = backfill.fields(("depth",), "backfill")
        if "depth" in inner:
            known["backfill_depth"] = inner["depth"].whole("depth")
    if (consolidate := option(fields, "consolidate")) is not None:
        known["consolidate"] = consolidate.flag("consolidate")
    if (limits := option(fields, "enforce_time_limits")) is not None:
        known["enforce_time_limits"] = limits.flag("enforce_time_limits")
    if (usage := option(fields, "usage")) is not None:
        known["usage"] = _usage(usage, defaults.usage)
    return replace(defaults, **known)


def _classes(item: Item, defaults: Rules) -> dict[str, object]:
    classes, scopes = dict(defaults.classes), dict(defaults.class_scopes)
    for name, one in item.mapping("classes").items():
        value = one
        if isinstance(one.value, dict):
            inner = one.fields(("value", "scope"), f"class {name}")
            if "value" not in inner:
                raise one.wrong(f"class {name} needs a value")
            value = inner["value"]
            if "scope" in inner:
                scope = Scope(inner["scope"].one_of(tuple(Scope), "scope"))
                scopes[value.whole(name, -(10**6))] = scope
        classes[name] = value.whole(name, -(10**6))
    return {"classes": classes, "class_scopes": scopes}


def _preemption(item: Item, defaults: Preemption) -> Preemption:
    times = ("delay", "grace", "min_run_time", "cooldown")
    fields = item.fields(("priority", "reclaim", *times), "preemption")
    known: dict[str, object] = {}
    for key, one in fields.items():
        if key in times:
            known["min_run_ms" if key == "min_run_time" else f"{key}_ms"] = one.time_ms(key)
        else:
            known[key] = one.flag(key)
    return replace(defaults, **known)


def _usage(item: Item, defaults: PastUsage) -> PastUsage:
    fields = item.fields(USAGE_KEYS, "usage")
    known: dict[str, object] = {}
    if "half_life" in fields:
        known["half_life_ms"] = fields["half_life"].span_ms("half_life")
    if "weight" in fields:
        known["weight"] = fields["weight"].number("weight")
    if "fair_tree" in fields:
        known["fair_tree"] = fields["fair_tree"].flag("fair_tree")
    if "told_every" in fields:
        known["told_every_ms"] = fields["told_every"].time_ms("told_every")
    if "inverse" in fields:
        known["inverse"] = fields["inverse"].flag("inverse")
    for key in ("entry", "charge_min"):
        if key in fields:
            known[f"{key}_ms"] = fields[key].time_ms(key)
    return replace(defaults, **known)
