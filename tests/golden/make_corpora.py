"""Writes tests/fixtures/data/c4.*: the documents of c4.jsonl in the other formats.

    python tests/golden/make_corpora.py        (pyarrow)

c4.jsonl itself is the first documents of C4 (Raffel et al. 2020, ODC-BY), as they are.
"""
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = Path(__file__).parent.parent / "fixtures" / "data"
lines = (FOLDER / "c4.jsonl").read_text().splitlines(keepends=True)

# Two members, one after another: what `cat a.gz b.gz` and pigz make.
with open(FOLDER / "c4.jsonl.gz", "wb") as file:
    for part in (lines[:11], lines[11:]):
        file.write(gzip.compress("".join(part).encode(), mtime=0))

texts = [json.loads(line)["text"] for line in lines]
table = pa.table({"url": [f"https://example.org/{i}" for i in range(len(texts))], "content": texts})
for codec in ("snappy", "zstd", "gzip"):
    pq.write_table(table, FOLDER / f"c4-{codec}.parquet", compression=codec, row_group_size=9)
