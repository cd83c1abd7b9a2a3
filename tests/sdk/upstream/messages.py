"""Anthropic's Messages."""

import json

from .model import SIGNATURE, Ask, need, only, picture, plain_schema, signed

FIELDS = """model max_tokens messages system tools tool_choice temperature top_p top_k stop_sequences stream thinking
metadata service_tier output_config"""


def read(body, path, headers):
    """The request, checked."""
    counts = path.endswith("/count_tokens")
    only(body, FIELDS)
    need(headers.get("anthropic-version"), "no anthropic-version")
    need(headers.get("x-api-key"), "no x-api-key")
    need(counts or isinstance(body.get("max_tokens"), int), "max_tokens is missing")
    thinking = body.get("thinking", {"type": "disabled"})
    ask = Ask(stream=bool(body.get("stream")), think=thinking["type"] != "disabled")
    if ask.think:
        sane(body, thinking)
    need(body.get("tools", True), "tools is empty")
    for tool in body.get("tools", []):
        only(tool, "name description input_schema type cache_control strict eager_input_streaming", "a tool")
        need(tool["input_schema"].get("type") == "object", "input_schema is no object")
        plain_schema(tool["input_schema"], "input_schema")
        ask.tools.append(tool["name"])
    form = body.get("output_config", {}).get("format")
    if form:
        need(form["type"] == "json_schema", f"a format {form['type']}")
        plain_schema(form["schema"], "schema")
        need(form["schema"].get("additionalProperties") is False, "additionalProperties must be false")
        ask.schema = True
    conversation(body["messages"], ask)
    return ask


def sane(body, thinking):
    """What thinking rules out."""
    if thinking["type"] == "enabled":
        need(1024 <= thinking["budget_tokens"] < body["max_tokens"], "budget_tokens is out of range")
    need(body.get("temperature", 1) == 1, "temperature must be 1 with thinking")
    need("top_k" not in body, "top_k with thinking")
    need(body.get("tool_choice", {"type": "auto"})["type"] in ("auto", "none"), "a forced call with thinking")


def conversation(messages, ask):
    """Results stand in the message behind their calls, before anything else."""
    need(messages and messages[0]["role"] == "user", "the first message must be the user's")
    waiting, told = [], ""
    for message in messages:
        only(message, "role content", "a message")
        need(message["role"] in ("user", "assistant"), f"a message of {message['role']}")
        blocks = message["content"]
        blocks = [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks
        need(blocks, "a message without content")
        if message["role"] == "assistant":
            waiting = [block["id"] for block in blocks if block["type"] == "tool_use"]
            need(not ask.think or not waiting or blocks[0]["type"] == "thinking", "expected thinking first")
            if waiting:
                thoughts = [block.get("signature") for block in blocks if block["type"] == "thinking"]
                signed(told, thoughts[0] if thoughts else None)
            continue
        results = [block for block in blocks if block["type"] == "tool_result"]
        need(sorted(block["tool_use_id"] for block in results) == sorted(waiting), f"results of {waiting} must follow")
        need(all(block["type"] == "tool_result" for block in blocks[: len(results)]), "results come first")
        waiting = []
        ask.results += [flat(block.get("content", ""), ask) for block in results]
        rest = flat([block for block in blocks if block["type"] != "tool_result"], ask)
        if rest:
            ask.text = rest
            told += rest
            ask.results.clear()


def flat(content, ask):
    """The text of some blocks; pictures are noted."""
    if isinstance(content, str):
        return content
    text = ""
    for block in content:
        if block["type"] == "text":
            need(block["text"], "an empty text")
            text += block["text"]
        else:
            need(block["type"] == "image", f"a block of the type {block['type']}")
            ask.images.append(picture(block["source"]["media_type"], block["source"]["data"]))
    return text


def usage():
    """The counts of tokens: those of the cache are not among the others."""
    return {"input_tokens": 12, "cache_read_input_tokens": 8, "cache_creation_input_tokens": 0, "output_tokens": 10}


def blocks_of(say):
    """What was said."""
    blocks = [{"type": "thinking", "thinking": say.thought, "signature": SIGNATURE}] if say.thought else []
    blocks += [{"type": "text", "text": say.text}] if say.text else []
    return blocks + [{"type": "tool_use", "id": f"toolu_{name}", "name": tool, "input": given} for name, tool, given in say.calls]


def message_of(say, model, blocks):
    """A message with these blocks."""
    reason = "tool_use" if say.calls else "end_turn"
    base = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": blocks}
    return {**base, "stop_reason": reason, "stop_sequence": None, "usage": usage()}


def whole(say, model):
    """A whole answer."""
    return message_of(say, model, blocks_of(say))


def events(say, model, body):
    """The events of a streamed one."""
    begun = {**message_of(say, model, []), "stop_reason": None}
    begun["usage"] = {**usage(), "output_tokens": 1}
    out = [{"type": "message_start", "message": begun}]
    for index, block in enumerate(blocks_of(say)):
        empty, deltas = block, []
        if block["type"] == "thinking":
            empty = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": block["thinking"]}, {"type": "signature_delta", "signature": SIGNATURE}]
        elif block["type"] == "text":
            empty = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in say.pieces()]
        else:
            empty, text = {**block, "input": {}}, json.dumps(block["input"])
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", text[:7], text[7:])]
        out.append({"type": "content_block_start", "index": index, "content_block": empty})
        out += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        out.append({"type": "content_block_stop", "index": index})
    out.insert(1, {"type": "ping"})
    reason = "tool_use" if say.calls else "end_turn"
    out.append({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": {"output_tokens": 10}})
    out.append({"type": "message_stop"})
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in out]


def error(status, message):
    """An error's body."""
    kinds = {400: "invalid_request_error", 429: "rate_limit_error", 503: "overloaded_error", 529: "overloaded_error"}
    return {"type": "error", "error": {"type": kinds.get(status, "api_error"), "message": message}, "request_id": "req_1"}
