"""What changes a digest of code: whatever it does, and nothing that it only says."""

import pytest

from deblurbench.provenance import code_digest, folder_digest

SOURCE = b'''"""A method."""
import torch


class Blur(torch.nn.Module):
    """Averages."""

    taps: int = 3

    def forward(self, x, *, scale=1.5, names={**{}, "a": None}):
        """Average over the taps."""
        return (x - 0.5) * scale + x[..., ::2].mean(-1, keepdim=True)
'''
SAME = {
    "a comment": (b"taps: int = 3", b"taps: int = 3  # an odd number"),
    "a docstring": (b"Averages.", b"Averages over `taps` pixels."),
    "no docstring": (b'    """Averages."""\n', b""),
    "blank lines": (b"import torch\n", b"import torch\n\n\n"),
    "brackets": (b"(x - 0.5) * scale", b"((x - 0.5) * (scale))"),
    "line ends": (b"\n", b"\r\n"),
    "quotes": (b'"a"', b"'a'"),
}
OTHER = {
    "a number": (b"1.5", b"1.50001"),
    "its type": (b"taps: int = 3", b"taps: int = 3.0"),
    "an operator": (b"x - 0.5", b"x + 0.5"),
    "an order": (b"(x - 0.5) * scale", b"scale * (x - 0.5)"),
    "a keyword": (b"keepdim=True", b"keepdim=False"),
    "a constant": (b"None", b"..."),
    "a slice": (b"::2", b"::3"),
    "a key for a star": (b"**{}, ", b"None: {}, "),
    "text that is used": (b"taps: int = 3", b"taps: int = 3; title = 'x'"),
    "precedence": (b"(x - 0.5) * scale", b"x - 0.5 * scale"),
}


@pytest.mark.parametrize("change", SAME)
def test_prose_and_layout_change_no_digest(change):
    old, new = SAME[change]
    assert old in SOURCE
    assert code_digest(SOURCE.replace(old, new)) == code_digest(SOURCE)


@pytest.mark.parametrize("change", OTHER)
def test_whatever_could_move_a_number_changes_the_digest(change):
    old, new = OTHER[change]
    assert old in SOURCE
    assert code_digest(SOURCE.replace(old, new)) != code_digest(SOURCE)


def test_the_digest_is_the_same_under_every_python():
    assert code_digest(SOURCE).hex() == "811df7601c3612dfe4687eff75c1dcca5324c220fe604f66c44d21c06820ebc1"


@pytest.mark.parametrize(
    "source", [b"x = ", b"\0", b"x = " + b"(" * 5000 + b")" * 5000, b"x = " + b"-" * 5000 + b"1", b"\xff", b"x = 1" * 9]
)
def test_what_does_not_parse_counts_by_its_bytes(source):
    assert code_digest(source) != code_digest(source + b" # more")


def test_a_docstring_that_is_read_counts():
    source = b'"""One."""\nprint(__doc__)\n'
    assert code_digest(source) != code_digest(source.replace(b"One", b"Two"))


def test_names_of_files_count(tmp_path):
    (tmp_path / "a.py").write_text("x = 1")
    before = folder_digest(tmp_path)
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert folder_digest(tmp_path) != before
    (tmp_path / "b.py").rename(tmp_path / "a.py")
    (tmp_path / "a.py").write_text("x = 1  # one")
    assert folder_digest(tmp_path) == before
