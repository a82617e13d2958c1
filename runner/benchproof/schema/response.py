"""Response: the engine's answer as journaled, before any filter has seen it."""

from dataclasses import dataclass
from typing import Any, Literal

from benchproof.schema.canonical import decimal

Stop = Literal["eos", "until", "length"]


@dataclass(frozen=True, slots=True)
class Loglikelihood:
    """Sum of the continuation's token log-probabilities, in nats, and whether each is the argmax."""

    request: str
    loglikelihood: float
    is_greedy: bool
    n_tokens: int  # of the continuation

    def json_value(self) -> dict[str, Any]:
        """The journal's form; raises ValueError if the sum is not finite."""
        return {"r": self.request, "ll": decimal(self.loglikelihood), "greedy": self.is_greedy, "n": self.n_tokens}


@dataclass(frozen=True, slots=True)
class Generated:
    """Generated token ids, their text, and the text cut at the first stop string."""

    request: str
    token_ids: tuple[int, ...]
    raw: str
    text: str
    stop: Stop
    answered: bool = True  # False: a model that thinks ended before it answered

    def json_value(self) -> dict[str, Any]:
        """The journal's form."""
        return {
            "r": self.request,
            "ids": list(self.token_ids),
            "raw": self.raw,
            "text": self.text,
            "stop": self.stop,
            "answered": self.answered,
        }


Response = Loglikelihood | Generated


def response_from(value: dict[str, Any]) -> Response:
    """The journal's form back as a response. Raises KeyError, TypeError or ValueError if it is none."""
    if "ll" in value:
        total = float(value["ll"])
        if decimal(total) != value["ll"]:  # refuses NaN and infinity, and any other spelling of the number
            raise ValueError(f"{value['ll']} is not how a log-likelihood is written")
        return Loglikelihood(str(value["r"]), total, bool(value["greedy"]), int(value["n"]))
    stop: Stop = {"eos": "eos", "until": "until", "length": "length"}[value["stop"]]  # type: ignore[assignment]
    return Generated(
        str(value["r"]), tuple(value["ids"]), str(value["raw"]), str(value["text"]), stop, bool(value["answered"])
    )
