"""Lists of hashes as files: what is read, and which line is at fault."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadHashList
from storage.known.list_files import Entry, as_json, of_records, read

ONE, TWO = "2d6b1af3a956c529e79ca3d2526fa834d4196c81cedd04de0a26b855fc99b724", "0f" * 32


def test_csv_names_its_columns_in_any_order() -> None:
    found = read(f'\ufefflabel,PDQ\n"a, b",{ONE}\n,{TWO.upper()}\n,{ONE}\n'.encode(), "f.csv")
    assert found.entries == [
        Entry(pdq=bytes.fromhex(ONE), label="a, b"),
        Entry(pdq=bytes.fromhex(TWO), label=None),
    ]


def test_json_of_threatexchange_is_read_and_other_types_are_counted() -> None:
    data = [
        {"id": "12", "type": "HASH_PDQ", "indicator": ONE, "description": "case"},
        {"id": "13", "type": "HASH_MD5", "indicator": "00" * 16},
        {"id": "14", "type": "pdq", "value": TWO},
    ]
    for given_ in ({"data": data, "paging": {}}, data):
        found = read(json.dumps(given_).encode(), "f.json")
        assert [(each.pdq.hex(), each.label) for each in found.entries] == [(ONE, "case"), (TWO, "14")]
        assert found.other_types == 1


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"", "line 1"),
        (b"name\nx\n", "line 1"),
        (f"pdq\n{ONE}\n{ONE[:-1]}\n".encode(), "line 3"),
        (f"pdq\n{ONE}\n\n{'g' * 64}\n".encode(), "line 4"),
        (f"pdq\n{ONE}\n\xff\n".encode("latin-1"), "line 3"),
        (b'pdq\n"open', "line 2"),
        (b'{"data": 5}', "line 1"),
        (b'{\n"data": [}', "line 2"),
        (b'[{"indicator": 5}]', "entry 1"),
        (b"[[]]", "entry 1"),
        (b"[" * 100_000, "line 1"),
    ],
)
def test_a_bad_file_is_refused_with_the_place(content: bytes, place: str) -> None:
    with pytest.raises(BadHashList, match=f"list.x, {place}: "):
        read(content, "list.x")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: ("pdq,label\n" + text).encode()))
def test_whatever_the_bytes_they_are_read_or_refused(content: bytes) -> None:
    try:
        found = read(content, "f")
    except BadHashList:
        return
    assert all(len(each.pdq) == 32 for each in found.entries)


@given(st.binary(min_size=32, max_size=32), st.none() | st.text("abc é", min_size=1, max_size=9))
def test_what_is_written_is_read_again(pdq: bytes, label: str | None) -> None:
    entry = Entry(pdq=pdq, label=(label or "").strip() or None)
    assert of_records(iter([("entry 1", as_json(entry))]), "f").entries == [entry]
