"""Runs untrusted code. Bubblewrap or Landlock, with seccomp and limits; the tier is probed, never assumed."""
