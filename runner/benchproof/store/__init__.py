"""Bytes on disk: files that are written once, journals that are only appended to."""
