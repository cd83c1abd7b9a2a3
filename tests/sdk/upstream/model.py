"""What the model says, whatever the dialect: a request comes down to an `Ask`, an answer is a `Say`."""

import base64
import json
from dataclasses import dataclass, field

GREETING = "Grüße, Welt! 你好"
THOUGHT = "The user wants to know. I shall look."
# Looks like what services send: base64 with both special characters and padding.
SIGNATURE = "Eu8C+/+/PwpGCAH+/+Cadw=="
PLACE = {"city": "Paris", "population": 2102650}
CITIES = ["Paris", "Rome"]
COUNT = 42


class Refused(Exception):
    """The request is not one that the real service would take."""


@dataclass
class Ask:
    """What is asked for."""

    text: str = ""
    tools: list = field(default_factory=list)
    results: list = field(default_factory=list)
    images: list = field(default_factory=list)
    schema: bool = False
    think: bool = False
    stream: bool = False
    sealed: bool = False
    told: bool = True


@dataclass
class Say:
    """What is answered."""

    thought: str = ""
    text: str = ""
    calls: list = field(default_factory=list)
    cut: bool = False
    sealed: bool = False
    told: bool = True

    def pieces(self):
        """The text in pieces, as a stream brings it."""
        third = max(1, len(self.text) // 3)
        return [self.text[at : at + third] for at in range(0, len(self.text), third)]


def decide(ask):
    """The model: calls its tool for both cities, and tells their results."""
    thought = THOUGHT if ask.think else ""
    if ask.results:
        return Say(text="The tools said: " + " | ".join(ask.results))
    if "json" in ask.tools:
        # A form of answer in the disguise of a tool, where a client does not know that the model can do without.
        return Say(thought=thought, calls=[("call_1", "json", PLACE)])
    if ask.tools:
        calls = [(f"call_{city}", ask.tools[0], {"city": city}) for city in CITIES]
        return Say(thought=thought, calls=calls, sealed=ask.sealed, told=ask.told)
    if ask.schema:
        return Say(thought=thought, text=json.dumps(PLACE), sealed=ask.sealed, told=ask.told)
    if ask.images:
        return Say(text=" and ".join(f"{kind} of {size} bytes" for kind, size in ask.images))
    return Say(thought=thought, text=GREETING, cut="break off" in ask.text, sealed=ask.sealed, told=ask.told)


def need(condition, message):
    """Refuses the request unless the condition holds."""
    if not condition:
        raise Refused(message)


def only(what, known, where="the request"):
    """Refuses fields that are not known."""
    need(isinstance(what, dict), f"{where} is no object")
    odd = sorted(set(what) - set(known.split()))
    need(not odd, f"unknown fields of {where}: {odd}")


def plain_schema(schema, where):
    """Refuses what is no JSON Schema: Google's form has types in capitals and `nullable`."""
    need(isinstance(schema, dict), f"{where} is no schema")
    kinds = schema.get("type", [])
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        need(kind == kind.lower(), f"{where} has the type {kind}")
    need("nullable" not in schema, f"{where} has nullable")
    for name, below in schema.get("properties", {}).items():
        plain_schema(below, f"{where}.{name}")


def picture(kind, data):
    """A picture by its type and size."""
    try:
        return kind, len(base64.b64decode(data, validate=True))
    except ValueError:
        raise Refused("a picture is no base64") from None


def data_url(url):
    """A picture in a `data:` URL."""
    need(url.startswith("data:") and ";base64," in url, f"no data URL: {url[:40]}")
    kind, data = url[len("data:") :].split(";base64,", 1)
    return picture(kind, data)


def signed(asked, given):
    """Refuses a conversation whose earlier reasoning does not come back as it was given out, in either alphabet of base64."""
    if "signed" in asked:
        usual = given and given.replace("-", "+").replace("_", "/")
        need(usual == SIGNATURE, f"the signature of the earlier reasoning is {given!r}")
