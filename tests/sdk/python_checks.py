"""The checks of the SDKs in Python. Each is named by SDK, upstream and subject; `run.py` starts this."""

import base64
import inspect
import json
import logging
import os
import sys
import traceback

import anthropic
import openai
from google import genai
from google.genai import errors as google_errors
from google.genai import types
from pydantic import BaseModel

URL = os.environ["POINTSMAN_URL"]
TOKEN = os.environ["POINTSMAN_TOKEN"]
ONLY = json.loads(os.environ["ONLY"])
UPSTREAMS = ["openai", "anthropic", "gemini", "responses"]

GREETING = "Grüße, Welt! 你好"
THOUGHT = "The user wants to know. I shall look."
TOLD = "The tools said: 21 in Paris | 25 in Rome"
FAILURE = "the scripted upstream refuses"
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SEEN = f"image/png of {len(PICTURE)} bytes"
DATA_URL = "data:image/png;base64," + base64.b64encode(PICTURE).decode()
WEATHER = {"city": {"type": "string", "description": "the city's name"}}
SCHEMA = {"type": "object", "properties": WEATHER, "required": ["city"], "additionalProperties": False}
SIGNED = "What is the weather in Paris and Rome? Keep it signed."
LARGE = "x" * (1 << 20)


class Place(BaseModel):
    """The form of a structured answer."""

    city: str
    population: int


def weather(city):
    """The tool."""
    return {"Paris": "21 in Paris", "Rome": "25 in Rome"}[city]


def same(got, wanted):
    """Fails unless both are equal."""
    assert got == wanted, f"{got!r} is not {wanted!r}"


def raised(kind, call):
    """The exception that the call ends with, which must be of this kind."""
    try:
        call()
    except kind as error:
        assert type(error) is kind, f"{type(error).__name__} is not {kind.__name__}"
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def told(model):
    """What the model tells of its thoughts where nobody asks for a summary: OpenAI's API has no other form of them."""
    return "" if model == "up-responses" else THOUGHT


def thought_block(model):
    """The type and the words of a block of thinking."""
    return ("thinking", THOUGHT) if told(model) else ("redacted_thinking", "")


def waits(error):
    """The error says to come back in at most the seven seconds that the upstream named."""
    seconds = int(error.response.headers["retry-after"])
    assert 1 <= seconds <= 7, f"retry-after is {seconds}"


class OpenAIChat:
    """The SDK `openai`, chat completions."""

    name = "python openai chat"
    tools = [{"type": "function", "function": {"name": "weather", "description": "The weather.", "parameters": SCHEMA}}]

    def __init__(self):
        self.client = self.made(TOKEN)

    @staticmethod
    def made(token):
        return openai.OpenAI(base_url=f"{URL}/v1", api_key=token, max_retries=0, timeout=20)

    def ask(self, model, text="hello", **more):
        return self.client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], **more)

    def chat(self, model):
        system = {"role": "system", "content": "Be kind."}
        messages = [system, {"role": "user", "content": "hello"}]
        answer = self.client.chat.completions.create(model=model, messages=messages, temperature=0.5, max_tokens=100)
        same(answer.choices[0].message.content, GREETING)
        same(answer.choices[0].finish_reason, "stop")
        usage = answer.usage
        same((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (20, 10, 30))
        same(usage.prompt_tokens_details.cached_tokens, 8)

    def stream(self, model):
        chunks = list(self.ask(model, stream=True, stream_options={"include_usage": True}))
        deltas = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
        same("".join(deltas), GREETING)
        same([chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason], ["stop"])
        same((chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens), (20, 10))

    def stream_helper(self, model):
        with self.client.chat.completions.stream(model=model, messages=[{"role": "user", "content": SIGNED}], tools=self.strict()) as stream:
            for _ in stream:
                pass
            calls = stream.get_final_completion().choices[0].message.tool_calls
        same([json.loads(call.function.arguments)["city"] for call in calls], ["Paris", "Rome"])

    def strict(self):
        return [{"type": "function", "function": {**self.tools[0]["function"], "strict": True}}]

    def tools_in_turn(self, model, **more):
        messages = [{"role": "user", "content": more.pop("text", "What is the weather?")}]
        first = self.client.chat.completions.create(model=model, messages=messages, tools=self.tools, **more)
        same(first.choices[0].finish_reason, "tool_calls")
        message = first.choices[0].message
        messages.append(message)
        # In the order in which they were done, not made.
        for call in reversed(message.tool_calls):
            said = weather(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": said})
        second = self.client.chat.completions.create(model=model, messages=messages, tools=self.tools, **more)
        said = second.choices[0].message.content
        same(sorted(said.removeprefix("The tools said: ").split(" | ")), ["21 in Paris", "25 in Rome"])
        return message

    def thinking(self, model):
        message = self.tools_in_turn(model, text=SIGNED, reasoning_effort="high")
        same(getattr(message, "reasoning_content", None) or "", told(model))

    def thinking_streamed(self, model):
        stream = self.ask(model, reasoning_effort="low", stream=True)
        deltas = [chunk.choices[0].delta for chunk in stream if chunk.choices]
        same("".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas), told(model))
        same("".join(delta.content or "" for delta in deltas), GREETING)

    def structured(self, model):
        messages = [{"role": "user", "content": "Where?"}]
        answer = self.client.chat.completions.parse(model=model, messages=messages, response_format=Place)
        same(answer.choices[0].message.parsed, Place(city="Paris", population=2102650))

    def vision(self, model):
        parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": DATA_URL}}]
        same(self.ask(model, parts).choices[0].message.content, SEEN)

    def errors(self, model):
        error = raised(openai.BadRequestError, lambda: self.ask(f"{model}-400"))
        assert FAILURE in str(error), error
        error = raised(openai.RateLimitError, lambda: self.ask(f"{model}-429"))
        waits(error)
        same(error.code, "cooling_down")
        for status in (503, 529):
            error = raised(openai.InternalServerError, lambda: self.ask(f"{model}-{status}"))
            assert error.request_id and error.status_code >= 500, error.status_code
        assert raised(openai.APIStatusError, lambda: self.ask(model, LARGE)).status_code == 413
        raised(openai.AuthenticationError, lambda: self.made("wrong").models.list())
        raised(openai.AuthenticationError, lambda: self.made("wrong").chat.completions.create(model=model, messages=[]))
        raised(openai.NotFoundError, lambda: self.ask("nothing-like-that"))

    def broken(self, model):
        stream = self.ask(model, "break off", stream=True)
        raised(openai.APIError, lambda: list(stream))

    def models(self, model):
        own = [one.id for one in self.client.models.list() if one.id.startswith(f"{model}:")]
        same(self.client.models.retrieve(own[0]).id, own[0])

    def embeddings(self, model):
        if model in ("up-openai", "up-gemini"):
            answer = self.client.embeddings.create(model=model, input=["a", "b"])
            same([one.embedding for one in answer.data], [[0.25, 0.5]] * 2)


class OpenAIResponses:
    """The SDK `openai`, Responses."""

    name = "python openai responses"
    tools = [{"type": "function", "name": "weather", "description": "The weather.", "parameters": SCHEMA, "strict": True}]

    def __init__(self):
        self.client = OpenAIChat.made(TOKEN)

    def ask(self, model, given="hello", **more):
        return self.client.responses.create(model=model, input=given, store=False, **more)

    def chat(self, model):
        answer = self.ask(model, instructions="Be kind.", max_output_tokens=100)
        same((answer.output_text, answer.status), (GREETING, "completed"))
        usage = answer.usage
        same((usage.input_tokens, usage.output_tokens, usage.input_tokens_details.cached_tokens), (20, 10, 8))

    def stream(self, model):
        events = list(self.ask(model, stream=True))
        same("".join(event.delta for event in events if event.type == "response.output_text.delta"), GREETING)
        same([event.sequence_number for event in events], list(range(len(events))))
        same((events[0].type, events[-1].type), ("response.created", "response.completed"))
        same((events[-1].response.output_text, events[-1].response.usage.output_tokens), (GREETING, 10))

    def stream_helper(self, model):
        with self.client.responses.stream(model=model, input=SIGNED, tools=self.tools, store=False) as stream:
            for _ in stream:
                pass
            output = stream.get_final_response().output
        calls = [item for item in output if item.type == "function_call"]
        same([call.parsed_arguments["city"] if isinstance(call.parsed_arguments, dict) else json.loads(call.arguments)["city"] for call in calls], ["Paris", "Rome"])

    def tools_in_turn(self, model, text="What is the weather?", **more):
        given = [{"role": "user", "content": text}]
        first = self.ask(model, given, tools=self.tools, **more)
        given += first.output
        for call in first.output:
            if call.type == "function_call":
                said = weather(**json.loads(call.arguments))
                given.append({"type": "function_call_output", "call_id": call.call_id, "output": said})
        same(self.ask(model, given, tools=self.tools, **more).output_text, TOLD)
        return first

    def thinking(self, model):
        more = {"reasoning": {"effort": "high", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
        first = self.tools_in_turn(model, SIGNED, **more)
        item = next(item for item in first.output if item.type == "reasoning")
        same("".join(part.text for part in item.summary or item.content), THOUGHT)

    def structured(self, model):
        answer = self.client.responses.parse(model=model, input="Where?", text_format=Place, store=False)
        same(answer.output_parsed, Place(city="Paris", population=2102650))

    def vision(self, model):
        parts = [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": DATA_URL, "detail": "auto"}]
        same(self.ask(model, [{"role": "user", "content": parts}]).output_text, SEEN)

    def errors(self, model):
        error = raised(openai.BadRequestError, lambda: self.ask(f"{model}-400"))
        assert FAILURE in str(error), error
        waits(raised(openai.RateLimitError, lambda: self.ask(f"{model}-429")))
        for status in (503, 529):
            raised(openai.InternalServerError, lambda: self.ask(f"{model}-{status}"))
        same(raised(openai.APIStatusError, lambda: self.ask(model, LARGE)).status_code, 413)
        raised(openai.NotFoundError, lambda: self.ask("nothing-like-that"))

    def broken(self, model):
        events = []
        try:
            events += self.ask(model, "break off", stream=True)
        except openai.APIError:
            return
        same(events[-1].type, "response.failed")
        same(events[-1].response.error.code, "server_error")

    def count(self, model):
        counted = self.client.responses.input_tokens.count(model=model, input="hello").input_tokens
        assert counted == 42 or (model == "up-openai" and counted > 0), counted


class Anthropic:
    """The SDK `anthropic`."""

    name = "python anthropic"
    tools = [{"name": "weather", "description": "The weather.", "input_schema": SCHEMA}]

    def __init__(self):
        self.client = self.made(TOKEN)

    @staticmethod
    def made(token):
        return anthropic.Anthropic(base_url=URL, api_key=token, max_retries=0, timeout=20)

    def ask(self, model, text="hello", **more):
        messages = [{"role": "user", "content": text}]
        return self.client.messages.create(**{"model": model, "max_tokens": 4000, "messages": messages, **more})

    def chat(self, model):
        answer = self.ask(model, system="Be kind.", stop_sequences=["END"])
        same([block.text for block in answer.content], [GREETING])
        same((answer.stop_reason, answer.role, answer.type), ("end_turn", "assistant", "message"))
        usage = answer.usage
        same((usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens), (12, 8, 10))

    def stream(self, model):
        with self.client.messages.stream(model=model, max_tokens=100, messages=[{"role": "user", "content": "hello"}]) as stream:
            same("".join(stream.text_stream), GREETING)
            answer = stream.get_final_message()
        same((answer.stop_reason, answer.usage.input_tokens, answer.usage.output_tokens), ("end_turn", 12, 10))

    def stream_helper(self, model):
        with self.client.messages.stream(model=model, max_tokens=100, messages=[{"role": "user", "content": SIGNED}], tools=self.tools) as stream:
            answer = stream.get_final_message()
        same([block.input for block in answer.content if block.type == "tool_use"], [{"city": "Paris"}, {"city": "Rome"}])
        same(answer.stop_reason, "tool_use")

    def tools_in_turn(self, model, text="What is the weather?", **more):
        first = self.ask(model, text, tools=self.tools, **more)
        same(first.stop_reason, "tool_use")
        calls = [block for block in first.content if block.type == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": weather(**call.input)} for call in calls]
        messages = [{"role": "user", "content": text}, {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
        same(self.ask(model, tools=self.tools, **{**more, "messages": messages}).content[-1].text, TOLD)
        return first

    def thinking(self, model):
        first = self.tools_in_turn(model, SIGNED, thinking={"type": "enabled", "budget_tokens": 2000})
        same((first.content[0].type, getattr(first.content[0], "thinking", "")), thought_block(model))

    def thinking_streamed(self, model):
        thinking = {"type": "enabled", "budget_tokens": 2000}
        messages = [{"role": "user", "content": SIGNED}]
        with self.client.messages.stream(model=model, max_tokens=4000, messages=messages, tools=self.tools, thinking=thinking) as stream:
            first = stream.get_final_message()
        same((first.content[0].type, getattr(first.content[0], "thinking", "")), thought_block(model))
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": weather(**call.input)} for call in first.content if call.type == "tool_use"]
        messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
        same(self.ask(model, tools=self.tools, thinking=thinking, messages=messages).content[-1].text, TOLD)

    def structured(self, model):
        messages = [{"role": "user", "content": "Where?"}]
        answer = self.client.messages.parse(model=model, max_tokens=100, messages=messages, output_format=Place)
        same(answer.parsed_output, Place(city="Paris", population=2102650))

    def vision(self, model):
        source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PICTURE).decode()}
        same(self.ask(model, [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]).content[0].text, SEEN)

    def errors(self, model):
        error = raised(anthropic.BadRequestError, lambda: self.ask(f"{model}-400"))
        assert FAILURE in str(error), error
        error = raised(anthropic.RateLimitError, lambda: self.ask(f"{model}-429"))
        waits(error)
        same(error.body["error"]["type"], "rate_limit_error")
        for status in (503, 529):
            try:
                self.ask(f"{model}-{status}")
            except anthropic.InternalServerError as error:
                assert error.status_code >= 500, error.status_code
        error = raised(anthropic.AuthenticationError, lambda: self.made("wrong").messages.create(model=model, max_tokens=1, messages=[]))
        same(error.body["error"]["type"], "authentication_error")
        error = raised(anthropic.NotFoundError, lambda: self.ask("nothing-like-that"))
        same(error.body["error"]["type"], "not_found_error")
        error = raised(anthropic.RequestTooLargeError, lambda: self.ask(model, LARGE))
        same(error.body["error"]["type"], "request_too_large")

    def broken(self, model):
        stream = self.ask(model, "break off", stream=True)
        raised(anthropic.APIStatusError, lambda: list(stream))

    def models(self, model):
        own = [one for one in self.client.models.list() if one.id.startswith(f"{model}:")]
        assert own[0].type == "model" and own[0].display_name, own
        same(self.client.models.retrieve(own[0].id).id, own[0].id)

    def count(self, model):
        counted = self.client.messages.count_tokens(model=model, messages=[{"role": "user", "content": "hello"}], tools=self.tools).input_tokens
        assert counted == 42 or (model == "up-openai" and counted > 0), counted


class Google:
    """The SDK `google-genai`."""

    name = "python google-genai"

    def __init__(self):
        self.client = self.made(TOKEN)
        declared = types.FunctionDeclaration(name="weather", description="The weather.", parameters_json_schema=SCHEMA)
        self.tools = [types.Tool(function_declarations=[declared])]

    @staticmethod
    def made(token):
        return genai.Client(api_key=token, http_options=types.HttpOptions(base_url=URL, timeout=20000))

    def ask(self, model, contents="hello", **config):
        return self.client.models.generate_content(model=model, contents=contents, config=types.GenerateContentConfig(**config))

    def chat(self, model):
        answer = self.ask(model, system_instruction="Be kind.", temperature=0.5, max_output_tokens=100)
        same((answer.text, answer.candidates[0].finish_reason.value), (GREETING, "STOP"))
        usage = answer.usage_metadata
        same((usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count), (20, 10, 30))
        same(usage.cached_content_token_count, 8)

    def stream(self, model):
        chunks = list(self.client.models.generate_content_stream(model=model, contents="hello"))
        same("".join(chunk.text or "" for chunk in chunks), GREETING)
        same(chunks[-1].candidates[0].finish_reason.value, "STOP")
        same(chunks[-1].usage_metadata.candidates_token_count, 10)

    def tools_in_turn(self, model, text="What is the weather?", **more):
        contents = [types.Content(role="user", parts=[types.Part(text=text)])]
        first = self.ask(model, contents, tools=self.tools, **more)
        contents.append(first.candidates[0].content)
        parts = [self.result(call) for call in first.function_calls]
        contents.append(types.Content(role="user", parts=parts))
        same(self.ask(model, contents, tools=self.tools, **more).text, TOLD)
        return first

    @staticmethod
    def result(call):
        response = {"output": weather(**call.args)}
        return types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response=response))

    def automatic(self, model):
        def tell_weather(city: str) -> str:
            """Tells the weather of a city."""
            return weather(city)

        text = self.ask(model, "What is the weather?", tools=[tell_weather]).text
        assert "21 in Paris" in text and "25 in Rome" in text, text

    def thinking(self, model):
        thinking = types.ThinkingConfig(include_thoughts=True, thinking_level="HIGH")
        first = self.tools_in_turn(model, SIGNED, thinking_config=thinking)
        same("".join(part.text for part in first.candidates[0].content.parts if part.thought), THOUGHT)

    def thinking_streamed(self, model):
        thinking = types.ThinkingConfig(include_thoughts=True, thinking_budget=2000)
        contents = [types.Content(role="user", parts=[types.Part(text=SIGNED)])]
        config = types.GenerateContentConfig(thinking_config=thinking, tools=self.tools)
        chunks = list(self.client.models.generate_content_stream(model=model, contents=contents, config=config))
        parts = [part for chunk in chunks if chunk.candidates and chunk.candidates[0].content for part in chunk.candidates[0].content.parts or []]
        calls = [part.function_call for part in parts if part.function_call]
        contents.append(types.Content(role="model", parts=parts))
        contents.append(types.Content(role="user", parts=[self.result(call) for call in calls]))
        same(self.ask(model, contents, tools=self.tools, thinking_config=thinking).text, TOLD)

    def structured(self, model):
        answer = self.ask(model, "Where?", response_mime_type="application/json", response_schema=Place)
        same(answer.parsed, Place(city="Paris", population=2102650))

    def vision(self, model):
        same(self.ask(model, [types.Part.from_bytes(data=PICTURE, mime_type="image/png"), "What is it?"]).text, SEEN)

    def errors(self, model):
        error = raised(google_errors.ClientError, lambda: self.ask(f"{model}-400"))
        assert error.code == 400 and error.status == "INVALID_ARGUMENT" and FAILURE in error.message, error
        error = raised(google_errors.ClientError, lambda: self.ask(f"{model}-429"))
        same((error.code, error.status), (429, "RESOURCE_EXHAUSTED"))
        kinds = [one["@type"].split(".")[-1] for one in error.details["error"]["details"]]
        assert "RetryInfo" in kinds, kinds
        for status in (503, 529):
            error = raised(google_errors.ServerError, lambda: self.ask(f"{model}-{status}"))
            same(error.status, "UNAVAILABLE")
        wrong = self.made("wrong")
        error = raised(google_errors.ClientError, lambda: wrong.models.generate_content(model=model, contents="hello"))
        same((error.code, error.status), (401, "UNAUTHENTICATED"))
        error = raised(google_errors.ClientError, lambda: self.ask("nothing-like-that"))
        same((error.code, error.status), (404, "NOT_FOUND"))
        same(raised(google_errors.ClientError, lambda: self.ask(model, LARGE)).code, 413)

    def broken(self, model):
        stream = self.client.models.generate_content_stream(model=model, contents="break off")
        raised(google_errors.ServerError, lambda: list(stream))

    def models(self, model):
        own = [one.name for one in self.client.models.list() if one.name.startswith(f"models/{model}:")]
        same(self.client.models.get(model=own[0]).name, own[0])

    def count(self, model):
        counted = self.client.models.count_tokens(model=model, contents="hello").total_tokens
        assert counted == 42 or (model == "up-openai" and counted > 0), counted

    def embeddings(self, model):
        if model == "up-gemini":
            answer = self.client.models.embed_content(model=model, contents=["a", "b"])
            same(answer.embeddings[0].values, [0.25, 0.5])


def main():
    """Every check of every SDK over every upstream; one line each."""
    # It advises against what one check does.
    logging.getLogger("google_genai").setLevel(logging.ERROR)
    failed = False
    for sdk in (OpenAIChat, OpenAIResponses, Anthropic, Google):
        one = sdk()
        subjects = [name for name, member in vars(sdk).items() if inspect.isfunction(member) and list(inspect.signature(member).parameters)[1:2] == ["model"]]
        for upstream in UPSTREAMS:
            for subject in subjects:
                name = f"{sdk.name} over {upstream}: {subject.replace('_', ' ')}"
                if subject == "ask" or not all(word in name for word in ONLY):
                    continue
                try:
                    getattr(one, subject)(f"up-{upstream}")
                    print(f"ok    {name}", flush=True)
                except Exception as error:
                    failed = True
                    print(f"FAIL  {name}: {type(error).__name__}: {str(error)[:1500]}", flush=True)
                    if ONLY:
                        traceback.print_exc()
    sys.exit(failed)


if __name__ == "__main__":
    main()
