"""Which frames are scored, and digests that must never change for a published protocol."""

import pytest

from deblurbench.registry.cards import DatasetCard
from deblurbench.registry.discovery import plugins
from deblurbench.registry.protocol import Protocol, su30_positions


def test_four_and_one_left_out():
    protocol = Protocol(name="x", leave_out=(4, 1))
    assert protocol.scored(100) == list(range(4, 99))
    assert protocol.scored(24) == list(range(4, 23)) and len(protocol.scored(24)) == 19
    assert protocol.scored(5) == [] and protocol.scored(1) == [] and protocol.scored(6) == [4]


def test_the_papers_counts_come_out():
    gopro = [100] * 4 + [134] + [100] + [77] + [100] * 4
    assert sum(len(Protocol(name="x", leave_out=(4, 1)).scored(n)) for n in gopro) == 1056
    assert sum(len(Protocol(name="x", leave_out=(2, 2)).scored(n)) for n in gopro) == 1067
    assert sum(len(Protocol(name="x", leave_out=(4, 1)).scored(n)) for n in [100] * 10) == 950
    assert len(Protocol(name="x", select="su30").scored(100)) == 30


def test_su30_is_matlabs_floor_of_linspace():
    positions = sorted(su30_positions(100))
    assert positions[0] == 1 and positions[-1] == 96 and len(positions) == 30


def test_digest_covers_what_decides_and_not_the_prose():
    one = Protocol(name="x", leave_out=(4, 1), summary="a")
    assert one.digest() == Protocol(name="x", leave_out=(4, 1), summary="b").digest()
    for change in ({"leave_out": (4, 2)}, {"version": 2}, {"blur": "linear"}, {"name": "y"}, {"size": (9, 9)}):
        assert Protocol(**{"name": "x", "leave_out": (4, 1), **change}).digest() != one.digest()


EXPECTED = {
    "gopro": ((4, 1), "gamma"), "gopro:linear": ((4, 1), "linear"), "gopro:all": ((0, 0), "gamma"),
    "gopro:linear-all": ((0, 0), "linear"), "gopro:nah2019": ((4, 1), "gamma"), "gopro:estrnn": ((2, 2), "gamma"),
    "dvd": ((4, 1), None), "dvd:all": ((0, 0), None), "dvd:su30": ((0, 0), None), "reds": ((0, 0), None),
    "reds:x4": ((0, 0), None), "reds:reds4": ((0, 0), None), "bsd:1ms8ms": ((0, 0), None),
    "bsd:2ms16ms": ((0, 0), None), "bsd:3ms24ms": ((0, 0), None), "folder": ((0, 0), None), "mini": ((4, 1), "gamma"),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_every_protocol_of_the_design_is_there(name):
    found = {
        p.name: p for d in plugins("datasets").values() if isinstance(d.card, DatasetCard) for p in d.card.protocols
    }
    leave_out, blur = EXPECTED[name]
    assert found[name].leave_out == leave_out
    assert blur is None or found[name].blur == blur
