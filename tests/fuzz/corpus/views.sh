#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Verdicts, with names of all kinds.
set -eu
python3 - "$1" <<'PY'
import json, sys
sys.path.insert(0, "tests/operate")
import verdicts
for kind in ("empty", "hostile"):
    json.dump(verdicts.verdict(kind), open(f"{sys.argv[1]}/{kind}.json", "w"))
small = verdicts.verdict("typical")
small["findings"] = small["findings"][:12]
small["calltree"]["nodes"] = small["calltree"]["nodes"][:30]
json.dump(small, open(f"{sys.argv[1]}/typical.json", "w"))
PY
