"""What a recorder sends to its agent: datagrams of samples, and of what is no number."""

from __future__ import annotations

import msgspec

from makeway.model.record import Note, Sample


class Noted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Notes, and how many samples and notes were lost since this was last said."""

    notes: tuple[Note, ...] = ()
    dropped: int = 0


Datagram = tuple[Sample, ...] | Noted

encoder = msgspec.msgpack.Encoder()
decoder = msgspec.msgpack.Decoder[Datagram](Datagram)
