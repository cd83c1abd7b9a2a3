"""OpenAI's chat completions, as compatible services speak them: reasoning stands in `reasoning_content`."""

import json
import re

from .model import THOUGHT, Ask, data_url, need, only, plain_schema

FIELDS = """model messages tools tool_choice parallel_tool_calls response_format temperature top_p max_tokens
max_completion_tokens stream stream_options stop seed n user metadata reasoning_effort logprobs top_logprobs store
service_tier verbosity prompt_cache_key safety_identifier presence_penalty frequency_penalty logit_bias modalities"""
NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")


def read(body, path, headers):
    """The request, checked."""
    only(body, FIELDS)
    need(headers.get("authorization", "").startswith("Bearer "), "no bearer token")
    need("stream_options" not in body or body.get("stream"), "stream_options without stream")
    ask = Ask(stream=bool(body.get("stream")), think=body.get("reasoning_effort", "none") != "none")
    if "tools" in body:
        need(body["tools"], "tools is empty")
        for tool in body["tools"]:
            need(tool.get("type") == "function", f"a tool of the type {tool.get('type')}")
            only(tool["function"], "name description parameters strict", "a function")
            need(NAME.match(tool["function"]["name"]), "the name of a function")
            plain_schema(tool["function"].get("parameters", {}), "parameters")
            ask.tools.append(tool["function"]["name"])
    need("tool_choice" not in body or ask.tools, "tool_choice without tools")
    form = body.get("response_format", {"type": "text"})
    if form["type"] == "json_schema":
        need(NAME.match(form["json_schema"].get("name", "")), "the name of a schema")
        plain_schema(form["json_schema"]["schema"], "schema")
    ask.schema = form["type"] != "text"
    conversation(body["messages"], ask)
    return ask


def conversation(messages, ask):
    """Results follow their calls, each one once; earlier reasoning is there where it was asked for."""
    waiting, told = [], ""
    for message in messages:
        only(message, "role content name tool_calls tool_call_id reasoning_content reasoning_details refusal audio annotations", "a message")
        role = message.get("role")
        if role == "tool":
            need(message.get("tool_call_id") in waiting, f"no call {message.get('tool_call_id')}")
            waiting.remove(message["tool_call_id"])
            ask.results.append(text_of(message["content"], ask))
            continue
        need(not waiting, f"calls without results: {waiting}")
        if role in ("system", "developer"):
            text_of(message["content"], ask)
        elif role == "user":
            ask.text = text_of(message["content"], ask)
            told += ask.text
            ask.results.clear()
        else:
            need(role == "assistant", f"a message of {role}")
            waiting = [call["id"] for call in message.get("tool_calls") or []]
            need(message.get("content") or waiting, "an empty message of the assistant")
            for call in message.get("tool_calls") or []:
                json.loads(call["function"]["arguments"])
            if "signed" in told and waiting:
                thought = message.get("reasoning_content")
                need(thought == THOUGHT, f"the earlier reasoning is {thought!r}")
    need(not waiting, f"calls without results: {waiting}")


def text_of(content, ask):
    """The text of a message's content; pictures are noted."""
    if isinstance(content, str):
        return content
    text = ""
    for part in content:
        if part["type"] == "text":
            text += part["text"]
        else:
            need(part["type"] == "image_url", f"a part of the type {part['type']}")
            ask.images.append(data_url(part["image_url"]["url"]))
    return text


def usage(say):
    """The counts of tokens."""
    return {
        "prompt_tokens": 20,
        "completion_tokens": 10,
        "total_tokens": 30,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 4 if say.thought else 0},
    }


def call(number, one, streamed):
    """One call of a tool."""
    name, tool, arguments = one
    shape = {"id": name, "type": "function", "function": {"name": tool, "arguments": json.dumps(arguments)}}
    return {"index": number, **shape} if streamed else shape


def whole(say, model):
    """A whole answer."""
    message = {"role": "assistant", "content": say.text or None}
    if say.thought:
        message["reasoning_content"] = say.thought
    if say.calls:
        message["tool_calls"] = [call(n, one, False) for n, one in enumerate(say.calls)]
    reason = "tool_calls" if say.calls else "stop"
    choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage(say)}


def events(say, model, body):
    """The events of a streamed one."""
    deltas = [{"role": "assistant", "content": ""}]
    if say.thought:
        deltas += [{"reasoning_content": say.thought[:9]}, {"reasoning_content": say.thought[9:]}]
    deltas += [{"content": piece} for piece in say.pieces()]
    for number, one in enumerate(say.calls):
        begun = call(number, one, True)
        arguments, begun["function"]["arguments"] = begun["function"]["arguments"], ""
        deltas.append({"tool_calls": [begun]})
        for piece in (arguments[:5], arguments[5:]):
            deltas.append({"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
    chunks = [{**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    reason = "tool_calls" if say.calls else "stop"
    chunks.append({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    if body.get("stream_options", {}).get("include_usage"):
        chunks.append({**base, "choices": [], "usage": usage(say)})
    return [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + ["data: [DONE]\n\n"]


def error(status, message):
    """An error's body."""
    kind = {429: "rate_limit_error", 400: "invalid_request_error"}.get(status, "server_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


