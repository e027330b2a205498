"""Writes tests/fixtures/jinja/strftime.json: dates as Python on Linux writes them."""
import json
from datetime import datetime
from pathlib import Path

OUT = Path(__file__).parent.parent / "fixtures" / "jinja" / "strftime.json"
FORMAT = ("%a|%A|%b|%B|%c|%C|%d|%D|%e|%F|%f|%g|%G|%h|%H|%I|%j|%k|%l|%m|%M|%n|%p|%P|%r|%R|%S|%t|%T|"
          "%u|%U|%V|%w|%W|%x|%X|%y|%Y|%z|%Z|%%|%-d|%-m|%-H|%-I|%-j|%_d|%_m|%0e|%^a|%^B|%-e|%-M|%-y")
DATES = [(2024, 3, 5, 0, 7, 9), (2024, 12, 30, 12, 0, 0), (2023, 1, 1, 23, 59, 59),
         (2020, 12, 31, 13, 5, 0), (2021, 1, 3, 1, 1, 1), (1999, 7, 4, 11, 30, 5),
         (2026, 2, 28, 6, 0, 0), (2024, 2, 29, 18, 45, 0)]

cases = ",\n".join(json.dumps({"date": date, "text": datetime(*date).strftime(FORMAT)})
                   for date in DATES)
OUT.write_text(f'{{"format": {json.dumps(FORMAT)},\n"cases": [\n{cases}\n]}}\n')
