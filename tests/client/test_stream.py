"""How server-sent events are read, to the letter of the standard."""

from __future__ import annotations

import pytest

from makeway.client.stream import Message, messages


@pytest.mark.parametrize(
    "text, found",
    [
        (b"", []),
        (b"data: a\n\n", [Message("", "message", "a")]),
        (b"data:a\r\n\r\n", [Message("", "message", "a")]),
        (b"data: a\ndata:  b\n\n", [Message("", "message", "a\n b")]),
        (b": a comment\n\nid: 7\nevent: E\ndata: x\n\n", [Message("7", "E", "x")]),
        (b"id: 7\ndata: x\n\ndata: y\n\n", [Message("7", "message", "x"), Message("7", "message", "y")]),
        (b"id: 7\n\n", []),
        (b"id: a\0b\ndata: x\n\n", [Message("", "message", "x")]),
        (b"retry: 3\nunknown: 1\ndata\n\n", [Message("", "message", "")]),
        (b"data: whole\n\ndata: not wh", [Message("", "message", "whole")]),
        (b"data: not ended\n", []),
        ("data: é\n\n".encode(), [Message("", "message", "é")]),
    ],
)  # fmt: skip
def test_a_stream_is_cut_into_messages(text: bytes, found: list[Message]) -> None:
    assert list(messages(text.splitlines(keepends=True))) == found
