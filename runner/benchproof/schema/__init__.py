"""The nouns: frozen types with no I/O, no clock and no environment."""
