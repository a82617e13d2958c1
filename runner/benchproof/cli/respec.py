"""A RunSpec that was rebuilt, as the text of a spec file."""

from collections.abc import Sequence

import yaml

from benchproof.schema.spec import RunSpec


def spec_yaml(spec: RunSpec, comments: Sequence[str]) -> str:
    """YAML that parses to this very spec; `comments` stand above it, one a line, without control characters."""
    value = spec.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    body: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110)
    shown = (
        "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in " ".join(c.split())) for c in comments
    )
    return "".join(f"# {line}\n" for line in shown) + body
