"""Loads nbval, which runs the notebooks, for pytest.

It imports jsonschema, which would compile the grammar of IRIs in each process, for two seconds: nothing here validates an IRI.
"""

import sys

sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # jsonschema does without it
pytest_plugins = ["nbval.plugin"]
