"""OpenAI's Responses, without state: reasoning comes back encrypted."""

import json

from .model import SIGNATURE, Ask, data_url, need, only, plain_schema, signed

FIELDS = """model input instructions tools tool_choice parallel_tool_calls text reasoning include store stream
temperature top_p max_output_tokens metadata user prompt_cache_key service_tier truncation safety_identifier
stream_options top_logprobs max_tool_calls"""


def read(body, path, headers):
    """The request, checked."""
    only(body, FIELDS)
    need(headers.get("authorization", "").startswith("Bearer "), "no bearer token")
    reasoning = body.get("reasoning") or {}
    ask = Ask(stream=bool(body.get("stream")), think=reasoning.get("effort", "none") != "none")
    for tool in body.get("tools", []):
        need(tool.get("type") == "function", f"a tool of the type {tool.get('type')}")
        only(tool, "type name description parameters strict", "a function")
        if tool.get("parameters") is not None:
            plain_schema(tool["parameters"], "parameters")
        ask.tools.append(tool["name"])
    form = body.get("text", {}).get("format", {"type": "text"})
    if form["type"] == "json_schema":
        need(form.get("name"), "a schema without a name")
        plain_schema(form["schema"], "schema")
    ask.schema = form["type"] != "text"
    items = body["input"]
    conversation([{"role": "user", "content": items}] if isinstance(items, str) else items, ask)
    ask.told = bool(reasoning.get("summary"))
    ask.sealed = "reasoning.encrypted_content" in body.get("include", [])
    return ask


def conversation(items, ask):
    """Each call has its output, each output its call; reasoning stands before what it led to."""
    waiting, told, reasoning = [], "", None
    for item in items:
        kind = item.get("type", "message")
        if kind == "reasoning":
            reasoning = item.get("encrypted_content")
            need(isinstance(item.get("summary"), list), "reasoning without a summary")
        elif kind == "function_call":
            json.loads(item["arguments"])
            if not waiting:
                signed(told, reasoning)
            waiting.append(item["call_id"])
        elif kind == "function_call_output":
            need(item["call_id"] in waiting, f"no call {item['call_id']}")
            waiting.remove(item["call_id"])
            ask.results.append(text_of(item["output"], ask))
        else:
            need(kind == "message", f"an item of the type {kind}")
            need(not waiting, f"calls without outputs: {waiting}")
            text = text_of(item["content"], ask)
            if item["role"] == "user":
                ask.text = text
                told += text
                ask.results.clear()
    need(not waiting, f"calls without outputs: {waiting}")


def text_of(content, ask):
    """The text of an item's content; pictures are noted."""
    if isinstance(content, str):
        return content
    text = ""
    for part in content:
        if part["type"] in ("input_text", "output_text"):
            text += part["text"]
        else:
            need(part["type"] == "input_image", f"a part of the type {part['type']}")
            ask.images.append(data_url(part["image_url"]))
    return text


def items_of(say):
    """What was said."""
    items = []
    if say.thought:
        summary = [{"type": "summary_text", "text": say.thought}] if say.told else []
        sealed = {"encrypted_content": SIGNATURE} if say.sealed else {}
        items.append({"id": "rs_1", "type": "reasoning", "summary": summary, **sealed})
    if say.text:
        content = [{"type": "output_text", "text": say.text, "annotations": [], "logprobs": []}]
        items.append({"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content})
    for name, tool, given in say.calls:
        arguments = json.dumps(given)
        items.append({"id": f"fc_{name}", "type": "function_call", "call_id": name, "name": tool, "arguments": arguments, "status": "completed"})
    return items


def response(say, model, status, items):
    """The response with these items."""
    tokens = {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 8},
        "output_tokens": 10,
        "output_tokens_details": {"reasoning_tokens": 4 if say.thought else 0},
        "total_tokens": 30,
    }
    base = {"id": "resp_1", "object": "response", "created_at": 1, "status": status, "error": None, "incomplete_details": None}
    more = {"instructions": None, "metadata": {}, "parallel_tool_calls": True, "temperature": 1, "tool_choice": "auto", "tools": [], "top_p": 1}
    return {**base, **more, "model": model, "output": items, "usage": tokens if status == "completed" else None}


def whole(say, model):
    """A whole answer."""
    return response(say, model, "completed", items_of(say))


def events(say, model, body):
    """The events of a streamed one."""
    items = items_of(say)
    out = [{"type": f"response.{name}", "response": response(say, model, "in_progress", [])} for name in ("created", "in_progress")]
    for index, item in enumerate(items):
        at = {"output_index": index, "item_id": item["id"]}
        empty = {**item, "status": "in_progress"}
        deltas = []
        if item["type"] == "message":
            empty["content"] = []
            part, own = item["content"][0], {**at, "content_index": 0}
            deltas.append({"type": "response.content_part.added", **own, "part": {**part, "text": ""}})
            deltas += [{"type": "response.output_text.delta", **own, "delta": piece, "logprobs": []} for piece in say.pieces()]
            deltas.append({"type": "response.output_text.done", **own, "text": say.text, "logprobs": []})
            deltas.append({"type": "response.content_part.done", **own, "part": part})
        elif item["type"] == "reasoning":
            empty = {**item, "summary": []}
            own = {**at, "summary_index": 0}
            for part in item["summary"]:
                deltas.append({"type": "response.reasoning_summary_part.added", **own, "part": {"type": "summary_text", "text": ""}})
                deltas.append({"type": "response.reasoning_summary_text.delta", **own, "delta": say.thought})
                deltas.append({"type": "response.reasoning_summary_text.done", **own, "text": say.thought})
                deltas.append({"type": "response.reasoning_summary_part.done", **own, "part": part})
        else:
            empty["arguments"] = ""
            deltas.append({"type": "response.function_call_arguments.delta", **at, "delta": item["arguments"]})
            deltas.append({"type": "response.function_call_arguments.done", **at, "arguments": item["arguments"], "name": item["name"]})
        out.append({"type": "response.output_item.added", "output_index": index, "item": empty})
        out += deltas
        out.append({"type": "response.output_item.done", "output_index": index, "item": item})
    out.append({"type": "response.completed", "response": whole(say, model)})
    return [f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': n})}\n\n" for n, event in enumerate(out)]


def error(status, message):
    """An error's body."""
    return {"error": {"message": message, "type": "invalid_request_error" if status < 500 else "server_error", "param": None, "code": None}}
