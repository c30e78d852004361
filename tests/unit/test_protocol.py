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


PINNED = {
    "bsd": (1, "60442a32099768a036a66864f223729ae3a050a1fc87ee26a28115c45ea1edc9"),
    "bsd:1ms8ms": (1, "bd631fbc196c8551f4aefff23ac3156d7651a013f9d4fec024021db30da5aae5"),
    "bsd:2ms16ms": (1, "a4ecd643aa101c285ce23b7a06e9dfc1a19de2d6400a304a8374801a7814a687"),
    "bsd:3ms24ms": (1, "59c06a2c66c6f80fdd88339cf68284030b1fa6c652ca2557c797edda12e4e1e2"),
    "dvd": (1, "933cf1581e73834ef6ceb2849175b2f5cb1a903e9a5c2d26a447a607fc29b138"),
    "dvd:all": (1, "a8f26f557a0adc93782362ee2b75914bf46c466ec30ec6cbd60f7858bd1f05ae"),
    "dvd:su30": (1, "8114d21a83221a152821f379047b578748eb60ac6b7287be28b4f202d61599aa"),
    "folder": (1, "db999933f10fcbde8222acb5654bd4d700d9b6cc70d3b60ebaea938ceb898dbc"),
    "folder:images": (1, "992f6895762b6f4c112027b435c72e4f1bc3123cd1fa8779faf29c9d237c40cc"),
    "gopro": (1, "87792b3d37e0866189e8ffed12f7aeea6ffc13a08ab99c62585b35461a3730c9"),
    "gopro:linear": (1, "edb78d66479c0e24b1968fde34d16b1a7994b3c65da29da48e5b1d401b84b105"),
    "gopro:all": (1, "d3e044ef50f420cd93a349a2d31b8db741ee013c55a8898c3723b6ab691e69b1"),
    "gopro:linear-all": (1, "1c5497b7ea469e97ea81b12b61bef806fd26fbe226d70df6cffc69cc572ad01a"),
    "gopro:nah2019": (1, "ea74484a9d01c537b95c9d51f326b64854d66578820c434cf9390462d896f092"),
    "gopro:estrnn": (1, "0a5e0058ace7f887c06bd57c4562e93ffd4f40837142851a7b289b8a4f40c9c7"),
    "mini": (1, "eb728c74c6a53f7a9a6d9bcfae62ff441780fcd3a85aaa17ca7db3bfef8d0092"),
    "mini:linear": (1, "a8b8093978102f7bb4ddcf0907b1cd4dc665aa61d8ed13ee39f0227f66a2e0ef"),
    "mini:all": (1, "e0c738ffff7997634eb98c68e7f6dbff9652c3b15eef22fac879eaf2a3b65dc5"),
    "reds": (1, "df531fafde4ad2a1c78aeb860f9a9c95e553c7055236313869b49711c66b338c"),
    "reds:x4": (1, "2db82644e450d64defe259f4268ed5ce2eb51ab6d0816ec999b136f3a8c81f77"),
    "reds:reds4": (1, "7900429d68dd1a6b3cba2512da1e511f7e3361ffee488cf1a0aecebaf0ed0dd7"),
    "synth": (1, "3435f8999cc3378abd62f6d633f2d624f64d3c4f98e972dd0bcf8cc56d6b20cb"),
    "synth:linear": (1, "36dd98a226805c5bc2c557a737763c110cf95e485f808dda3673f599a8ccc55f"),
    "synth:all": (1, "95a8b8e59c96e0c9949885a45e6b0977340d8c5709725abb1e09c91c1d691bbe"),
}
"""name -> (version, digest) of every shipped protocol."""


def test_a_published_protocol_never_changes():
    shipped = {
        protocol.name: (protocol.version, protocol.digest())
        for plugin in plugins("datasets").values()
        if isinstance(plugin.card, DatasetCard)
        for protocol in plugin.card.protocols
    }
    for name in sorted(PINNED.keys() | shipped.keys()):
        pinned, now = PINNED.get(name), shipped.get(name)
        assert now == pinned, (
            f"protocol {name!r} is {now}, pinned here as {pinned}. Published results carry the digest: raise `version` "
            "in the dataset's card, then pin the new pair. A new protocol is added, a withdrawn one removed, here."
        )
