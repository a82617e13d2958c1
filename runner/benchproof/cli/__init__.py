"""The command line: thin commands over the verbs. `app.py` is light; what a command needs is imported inside it."""
