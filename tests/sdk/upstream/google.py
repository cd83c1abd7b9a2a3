"""Gemini's generateContent, as Gemini 3 speaks it: calls are signed, and refused where the signature is gone."""

import json
import re

from .model import SIGNATURE, Ask, need, only, picture, plain_schema, signed

FIELDS = "contents tools toolConfig systemInstruction generationConfig safetySettings cachedContent serviceTier store model"
SETTINGS = """temperature topP topK candidateCount maxOutputTokens stopSequences responseMimeType responseSchema
responseJsonSchema thinkingConfig presencePenalty frequencyPenalty seed responseLogprobs logprobs responseModalities
mediaResolution responseFormat"""
# Google takes base64 in the alphabet for URLs too.
USUAL = str.maketrans("-_", "+/")
# What has fields of the caller's own.
OPEN = ("args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema")
# Google's own word for calls that another model made.
FOREIGN = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")


def camel(value):
    """The same with fields in Google's usual spelling: its SDKs write some with underscores, and both are taken."""
    if isinstance(value, list):
        return [camel(one) for one in value]
    if not isinstance(value, dict):
        return value
    named = {re.sub(r"_([a-z])", lambda found: found[1].upper(), name): below for name, below in value.items()}
    return {name: below if name in OPEN else camel(below) for name, below in named.items()}


def read(body, path, headers):
    """The request, checked."""
    body = camel(body)
    need(headers.get("x-goog-api-key"), "no x-goog-api-key")
    if path.split("?")[0].endswith(":countTokens"):
        body = body.get("generateContentRequest", body)
    only(body, FIELDS)
    settings = body.get("generationConfig", {})
    only(settings, SETTINGS, "generationConfig")
    ask = Ask(stream=":streamGenerateContent" in path)
    thinking = settings.get("thinkingConfig", {})
    ask.think = bool(thinking.get("includeThoughts"))
    need(not ("thinkingLevel" in thinking and "thinkingBudget" in thinking), "a level and a budget")
    if settings.get("responseMimeType") == "application/json":
        ask.schema = True
        plain = settings.get("responseJsonSchema")
        if plain is not None:
            plain_schema(plain, "responseJsonSchema")
    for tool in body.get("tools", []):
        for function in tool.get("functionDeclarations", []):
            only(function, "name description parameters parametersJsonSchema response responseJsonSchema behavior", "a function")
            if "parametersJsonSchema" in function:
                plain_schema(function["parametersJsonSchema"], "parametersJsonSchema")
            ask.tools.append(function["name"])
    conversation(body["contents"], ask)
    return ask


def conversation(contents, ask):
    """As many results as calls, of the same names, in the content behind them."""
    calls, told = [], ""
    for content in contents:
        only(content, "role parts", "a content")
        need(content.get("role", "user") in ("user", "model"), f"a content of {content.get('role')}")
        parts = content["parts"]
        need(parts, "a content without parts")
        for part in parts:
            only(part, "text thought thoughtSignature inlineData functionCall functionResponse fileData mediaResolution", "a part")
        if content.get("role") == "model":
            made = [part for part in parts if "functionCall" in part]
            calls = [part["functionCall"]["name"] for part in made]
            if made:
                given = made[0].get("thoughtSignature")
                need(given, "a call without thoughtSignature")
                if given not in FOREIGN or "signed" in told:
                    signed(told, given)
            continue
        results = [part["functionResponse"] for part in parts if "functionResponse" in part]
        need([one["name"] for one in results] == calls, f"results of {calls} must follow")
        calls = []
        for one in results:
            need(isinstance(one["response"], dict), "a result that is no object")
            ask.results.append(" ".join(str(value) for field, value in one["response"].items() if field != "name"))
        text = "".join(part.get("text", "") for part in parts)
        for data in (part["inlineData"] for part in parts if "inlineData" in part):
            ask.images.append(picture(data["mimeType"], data["data"].translate(USUAL)))
        if text:
            ask.text = text
            told += text
            ask.results.clear()
    need(not calls, "calls without results")


def usage(say):
    """The counts of tokens: thoughts are not among the candidates' own."""
    thoughts = {"thoughtsTokenCount": 4} if say.thought else {}
    own = 6 if say.thought else 10
    return {"promptTokenCount": 20, "cachedContentTokenCount": 8, "candidatesTokenCount": own, "totalTokenCount": 30, **thoughts}


def answer(parts, model, **more):
    """An answer with these parts."""
    return {"candidates": [{"index": 0, "content": {"role": "model", "parts": parts}, **more}], "modelVersion": model, "responseId": "r1"}


def parts_of(say):
    """What was said, in pieces. The first call carries the signature."""
    parts = [{"text": say.thought, "thought": True}] if say.thought else []
    parts += [{"text": piece} for piece in say.pieces()]
    for number, (_, tool, given) in enumerate(say.calls):
        part = {"functionCall": {"name": tool, "args": given}}
        parts.append({**part, "thoughtSignature": SIGNATURE} if number == 0 else part)
    return parts


def whole(say, model):
    """A whole answer."""
    return {**answer(parts_of(say), model, finishReason="STOP"), "usageMetadata": usage(say)}


def events(say, model, body):
    """The events of a streamed one."""
    out = [answer([part], model) for part in parts_of(say)]
    out[-1]["candidates"][0]["finishReason"] = "STOP"
    out[-1]["usageMetadata"] = usage(say)
    return [f"data: {json.dumps(event)}\r\n\r\n" for event in out]


def error(status, message):
    """An error's body."""
    names = {400: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}] if status == 429 else []
    return {"error": {"code": status, "message": message, "status": names.get(status, "INTERNAL"), "details": details}}
