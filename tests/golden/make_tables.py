"""Tables with values of every type, and compressed texts, with what Python reads from them.

    python3 tests/golden/make_tables.py      (pyarrow, datasets' own file layout, zstandard)

Writes tests/fixtures/data/tables (Parquet, Arrow and `rows.json`: `to_pylist`, times by isoformat)
and tests/fixtures/data/packed (the same 400 records in several members, frames and streams).
"""
import bz2
import gzip
import json
import re
from datetime import date, datetime, time, timezone
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import zstandard

HERE = Path(__file__).parent.parent / "fixtures" / "data"
UTC = timezone.utc

TABLE = pa.table({
    "text": ["one", "zwei \u2028 é漢🙂", None],
    "int64": pa.array([1, 2**60 + 1, -(2**53) - 1], pa.int64()),
    "uint64": pa.array([2**64 - 1, 0, None], pa.uint64()),
    "uint32": pa.array([2**32 - 1, 0, 1], pa.uint32()),
    "int8": pa.array([-128, 0, None], pa.int8()),
    "float64": pa.array([1.0, 1e-7, 1e16], pa.float64()),
    "more64": pa.array([-0.0, 123456789012345680.0, 0.1], pa.float64()),
    "float32": pa.array([1.0, 0.1, None], pa.float32()),
    "float16": pa.array([1.5, 2.0, None], pa.float16()),
    "bool": [True, False, None],
    "date": pa.array([date(2024, 1, 2), date(1969, 12, 31), None]),
    "micros": pa.array([datetime(2024, 1, 2, 3, 4, 5, 678901), datetime(1969, 12, 31, 23, 59, 59, 1), None]),
    "millis": pa.array([datetime(2024, 1, 2, 3, 4, 5), None, None], pa.timestamp("ms")),
    "zoned": pa.array([datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)] * 3, pa.timestamp("us", tz="UTC")),
    "time": pa.array([time(1, 2, 3), time(1, 2, 3, 40), None], pa.time64("us")),
    "decimal": pa.array([Decimal("1.10"), Decimal("-0.05"), None], pa.decimal128(5, 2)),
    "large_decimal": pa.array([Decimal("12345678901234567890.123"), Decimal("-1"), None], pa.decimal128(30, 3)),
    "list": [[1, 2], [], None],
    "nested": [[["a"], []], [["b", None]], None],
    "struct": [{"a": 1.0, "b": None}, {"a": 2.5, "b": {"c": "x"}}, None],
    "structs": [[{"role": "user", "content": "hi", "weight": 1}], [], None],
    "dictionary": pa.array(["x", "y", "x"]).dictionary_encode(),
    "large_string": pa.array(["p", None, "q"], pa.large_string()),
    "binary": pa.array([b"\xff\x00", b"text", None]),
})


def plain(value):
    if isinstance(value, (date, datetime, time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return f"<{len(value)} bytes of binary data>"
    if isinstance(value, Decimal):
        return {"decimal": format(value, "f")}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value


def write_stream(path, table):
    with pa.ipc.new_stream(path, table.schema) as writer:
        for start in range(len(table)):
            writer.write_table(table.slice(start, 1))


tables = HERE / "tables"
tables.mkdir(exist_ok=True)
pq.write_table(TABLE, tables / "all.parquet", row_group_size=2)
write_stream(tables / "data-00000-of-00001.arrow", TABLE)
feather.write_feather(TABLE, tables / "lz4.feather")
feather.write_feather(TABLE, tables / "zstd.feather", compression="zstd")
with pa.ipc.new_file(tables / "file.arrow", TABLE.schema) as writer:
    writer.write_table(TABLE)
rows = [plain(row) for row in TABLE.to_pylist()]
text = json.dumps(rows, ensure_ascii=False, indent=1)
# A decimal is a number that keeps its digits.
text = re.sub(r'\{\s*"decimal": "([^"]*)"\s*\}', r"\1", text)
(tables / "rows.json").write_text(text + "\n")

packed = HERE / "packed"
packed.mkdir(exist_ok=True)
lines = [(json.dumps({"text": f"document {i} " + "é漢🙂 " * (i % 7)}, ensure_ascii=False) + "\n").encode() for i in range(400)]
first, second = b"".join(lines[:150]), b"".join(lines[150:])
(packed / "texts.jsonl.gz").write_bytes(gzip.compress(first, mtime=0) + gzip.compress(second, mtime=0))
(packed / "texts.jsonl.bz2").write_bytes(bz2.compress(first) + bz2.compress(second))
skippable = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"skip"
checked = zstandard.ZstdCompressor(write_checksum=True).compress(first)
(packed / "texts.jsonl.zst").write_bytes(checked + skippable + zstandard.compress(second))
# As `zstd --long=31` writes it: a window of two gigabytes, and no size in the header.
parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=31, enable_ldm=True)
long = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
(packed / "long.jsonl.zst").write_bytes(long.compress(first + second) + long.flush())
