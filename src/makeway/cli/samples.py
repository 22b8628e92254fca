"""Print the series that a step recorded: what there is, or one of them point by point."""

from __future__ import annotations

import click
import msgspec

from makeway.cli.history import opened, step
from makeway.cli.output import OUTPUT, Column, clock, print_list
from makeway.errors import InvalidInput
from makeway.model.units import BadAmount, ms_of
from makeway.store.read import list_attempts
from makeway.store.resolve import resolve_execution
from makeway.store.rows import AttemptRow
from makeway.store.series import WHOLE_MAX, Point, Series, SeriesKey, list_series, read_series

BLOCKS = "▁▂▃▄▅▆▇█"
SPARK_POINTS = 24


class SeriesView(msgspec.Struct, frozen=True, kw_only=True):
    """A series with enough of its points to see its shape."""

    series: Series
    points: tuple[Point, ...]

    @property
    def name(self) -> str:
        """Give the name that `samples STEP NAME` takes."""
        return self.series.name


SERIES_COLUMNS = (
    Column("series", lambda view: view.name),
    Column("attempt", lambda view: str(view.series.number)),
    Column("rank", lambda view: str(view.series.rank)),
    Column("points", lambda view: str(view.series.n)),
    Column("first", lambda view: number(view.series.first)),
    Column("last", lambda view: number(view.series.last)),
    Column("min", lambda view: number(view.series.min)),
    Column("max", lambda view: number(view.series.max)),
    Column("mean", lambda view: number(view.series.mean)),
    Column("trend/s", lambda view: number(view.series.trend)),
    Column("shape", lambda view: spark([point.value for point in view.points])),
)
POINT_COLUMNS = (
    Column("at", lambda point: f"{clock(point.at_ms)}.{point.at_ms % 1000:03}"),
    Column("step", lambda point: "–" if point.step is None else str(point.step)),
    Column("value", lambda point: number(point.value)),
)


@step.command("samples")
@click.argument("step_id", metavar="STEP")
@click.argument("name", required=False)
@click.option("--rank", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--attempt", type=click.IntRange(min=1), help="Which attempt (default: the last).")
@click.option(
    "--from", "begins", metavar="TIME", help="Only later than 90s, 5m, 2h after its start."
)
@click.option("--to", "ends", metavar="TIME", help="Only up to so long after its start.")
@click.option("--max-points", type=click.IntRange(min=4), default=1000, show_default=True)
@OUTPUT
@click.pass_context
def samples(
    ctx: click.Context,
    /,
    step_id: str,
    name: str | None,
    rank: int,
    attempt: int | None,
    begins: str | None,
    ends: str | None,
    max_points: int,
    output: str,
) -> None:
    """List the series of a step, or print the points of the one called NAME."""
    with opened(ctx) as database:
        execution = resolve_execution(database, step_id)
        if name is None and (begins is not None or ends is not None):
            raise InvalidInput("--from and --to are for one series", hint="name it behind the step")
        if name is not None:
            tries = {each.number: each for each in list_attempts(database, execution)}
            number_of = attempt or max(tries, default=1)
            key = SeriesKey(execution, number_of, rank, name)
            within = _within(tries.get(number_of), begins, ends)
            points = read_series(database, key, *within, max_points=max_points)
            print_list(points, POINT_COLUMNS, output, name="value")
            return
        views = [
            SeriesView(
                series=series,
                points=tuple(read_series(database, series.id, max_points=SPARK_POINTS)),
            )
            for series in list_series(database, execution)
            if attempt is None or series.number == attempt
        ]
    print_list(views, SERIES_COLUMNS, output, name="name")


def _within(one: AttemptRow | None, begins: str | None, ends: str | None) -> tuple[int, int]:
    """Give two instants, from times since the attempt began."""
    began_ms = 0 if one is None else one.released_at_ms or one.started_at_ms
    from_ms = 0 if begins is None else began_ms + _since_ms(begins, "--from")
    to_ms = WHOLE_MAX - 1 if ends is None else began_ms + _since_ms(ends, "--to")
    if from_ms > to_ms:
        raise InvalidInput(f"{begins} is later than {ends}", where="--from")
    return from_ms, to_ms


def _since_ms(text: str, where: str) -> int:
    try:
        return ms_of(text, where)
    except BadAmount as error:
        raise InvalidInput(error.problem, where=where) from None


def number(value: float | None) -> str:
    """Write a value with four digits."""
    return "–" if value is None else f"{value:.6g}"


def spark(values: list[float]) -> str:
    """Draw values as a line of blocks."""
    known = [value for value in values if value == value]  # noqa: PLR0124 - NaN is not itself
    if not known:
        return ""
    low, high = min(known), max(known)
    scale = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(
        BLOCKS[round((value - low) * scale)] if value == value else " "  # noqa: PLR0124 - as above
        for value in values
    )
