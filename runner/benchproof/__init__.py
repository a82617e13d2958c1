"""benchproof: the benchmark runner whose every score comes with its proof.

The main path, one module an arrow (see ARCHITECTURE.md for the drawing):

    spec.py      a YAML file          -> RunSpec    what a person asked for
    resolve.py   RunSpec              -> Plan       everything pinned; its sha256 is the plan id
    build.py     Plan                 -> Requests   through the harness's own task code
    infer.py     Requests             -> Journal    responses, on disk before they count
    score.py     Requests + Journal   -> Scores     the harness's own filters and metrics
    record.py    all of it            -> Record     written once, last
    run.py       the table of contents: calls the above in this order

Example, without the command line:

    from benchproof.wire import run_spec
    record = run_spec("configs/runs/smoke.yaml", out="results/mine")
"""


def __getattr__(name: str) -> str:
    """`__version__`, looked up when it is wanted: importlib.metadata costs as much as all of --help."""
    if name != "__version__":
        raise AttributeError(name)
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("benchproof")
    except PackageNotFoundError:  # a source tree that was never installed
        return "0+unknown"
