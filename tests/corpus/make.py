"""All cases together; as a script, writes them to a folder.

python tests/corpus/make.py FOLDER
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from corpus import Case, arrays, definitions, pictures, records, tensors

SAMPLES = {**arrays.CASES, **pictures.CASES}
STATES, REFERENCES = tensors.STATES, tensors.REFERENCES
DEFINITIONS, RECORDS = definitions.CASES, records.CASES
EVERY: dict[str, Case] = {**SAMPLES, **STATES, **REFERENCES, **DEFINITIONS, **RECORDS}


def main(target: Path) -> None:
    """Write each case into a folder of its own."""
    for name, case in EVERY.items():
        home = target / re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")
        for folder in ("inside", "outside"):
            (home / folder).mkdir(parents=True)
        (home / "outside" / "secret").write_text("secret")
        print(case.build(home / "inside"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
