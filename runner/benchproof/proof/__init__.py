"""Who vouches for a record: Ed25519 keys, DSSE envelopes over in-toto statements, and what they are checked against."""
