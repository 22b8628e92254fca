"""What jobs did over time, as a drawing."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from makeway.server.pages.gantt import Arrow, Line, Piece, Span, gantt, in_lanes

SPAN = Span(begin_ms=0, end_ms=100_000, now_ms=80_000)


def piece(begin_s: int, end_s: int, kind: str = "run", **more: object) -> Piece:
    return Piece(
        begin_ms=begin_s * 1000, end_ms=end_s * 1000, kind=kind, told=f"{begin_s} to {end_s}",
        **more,  # type: ignore[arg-type] # plain keywords of a test
    )  # fmt: skip


def drawn(*lines: Line, arrows: tuple[Arrow, ...] = ()) -> ET.Element:
    return ET.fromstring(gantt(lines, arrows, SPAN, "a drawing"))


def test_a_piece_stands_where_it_was_in_time() -> None:
    [shape] = drawn(Line(pieces=(piece(25, 75),))).iter("rect")
    assert (shape.get("x"), shape.get("width")) == ("25.000%", "50.000%")


def test_what_began_earlier_or_goes_on_is_cut_at_the_edge() -> None:
    [shape] = drawn(Line(pieces=(piece(-50, 500),))).iter("rect")
    assert (shape.get("x"), shape.get("width")) == ("0.000%", "100.000%")


def test_what_is_shorter_than_a_pixel_is_still_to_be_seen() -> None:
    [shape] = drawn(Line(pieces=(piece(50, 50),))).iter("rect")
    assert float((shape.get("width") or "").removesuffix("%")) > 0.05


def test_fewer_workers_are_drawn_lower_on_the_same_ground() -> None:
    shapes = drawn(Line(pieces=(piece(0, 50), piece(50, 100, part=0.5)))).iter("rect")
    tall = [float(one.get("height") or 0) for one in shapes]
    assert tall[1] == tall[0] / 2
    feet = {
        float(one.get("y") or 0) + float(one.get("height") or 0)
        for one in drawn(Line(pieces=(piece(0, 50), piece(50, 100, part=0.5)))).iter("rect")
    }
    assert len(feet) == 1


def test_an_arrow_leads_from_the_victim_to_the_claimant() -> None:
    rows = (Line(pieces=()), Line(pieces=()), Line(pieces=()))
    down = Arrow(at_ms=50_000, start=0, end=2, told="a for c")
    up = Arrow(at_ms=50_000, start=2, end=0, told="c for a")
    for arrow, sign in ((down, 1), (up, -1)):
        group = next(one for one in drawn(*rows, arrows=(arrow,)).iter("g"))
        line = group.find("line")
        assert line is not None
        assert sign * (float(line.get("y2") or 0) - float(line.get("y1") or 0)) > 0


def test_names_are_written_and_never_run() -> None:
    name = "<script>alert('a')</script>"
    text = gantt(
        [Line(pieces=(Piece(begin_ms=0, end_ms=1, kind="run", told=name, path='/jobs/"x'),))],
        [], SPAN, name,
    )  # fmt: skip
    assert "<script" not in text
    assert 'href="/jobs/"' not in text


def test_at_most_eight_round_instants_are_written_whatever_the_span() -> None:
    for long_s in (20, 61, 3_600, 86_400, 7 * 86_400, 100 * 86_400):
        span = Span(begin_ms=1_700_000_000_000, end_ms=1_700_000_000_000 + long_s * 1000)
        texts = re.findall(r"<text", gantt([], [], span, ""))
        assert len(texts) <= 16, long_s


def test_what_overlaps_has_lanes_of_its_own_and_no_more_than_it_needs() -> None:
    lanes = in_lanes(
        {"a": piece(0, 50), "b": piece(20, 60), "c": piece(50, 90), "d": piece(60, 70)}
    )
    assert [[one.told for one in lane.pieces] for lane in lanes] == [
        ["0 to 50", "50 to 90"], ["20 to 60", "60 to 70"],
    ]  # fmt: skip
