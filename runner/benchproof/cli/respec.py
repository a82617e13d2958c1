"""A RunSpec that was rebuilt, as the text of a spec file."""

from collections.abc import Sequence

import yaml

from benchproof.report.text import printable
from benchproof.schema.spec import RunSpec


def spec_yaml(spec: RunSpec, comments: Sequence[str]) -> str:
    """YAML that parses to this very spec; `comments` stand above it, one a line, without control characters."""
    value = spec.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    body: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110)
    return "".join(f"# {printable(' '.join(line.split()))}\n" for line in comments) + body
