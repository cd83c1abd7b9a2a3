"""The checks of LangChain and BorgLLM: what `docs/borgllm.md` and `docs/clients.md` say of them. `run.py` starts this, with the
folder in which they are installed."""

import asyncio
import contextlib
import io
import json
import os
import sys
import tempfile
import traceback

sys.path.insert(0, sys.argv[1])
# Nothing is to be told to anyone, and no list of tokens fetched.
os.environ["LANGSMITH_TRACING"] = "false"

import openai  # noqa: E402
from borgllm import BorgAsyncOpenAI, BorgOpenAI, create_llm  # noqa: E402
from langchain_core.tools import tool  # noqa: E402
from langchain_openai import ChatOpenAI  # noqa: E402

URL = os.environ["POINTSMAN_URL"]
TOKEN = os.environ["POINTSMAN_TOKEN"]
ONLY = json.loads(os.environ["ONLY"])
UPSTREAMS = ["openai", "anthropic", "gemini", "responses"]

GREETING = "Grüße, Welt! 你好"
HELLO = [{"role": "user", "content": "hello"}]

# BorgLLM's own configuration, with a target of Pointsman as a provider.
BORG = """
llm:
  providers:
{providers}
"""
PROVIDER = "    - {{name: {name}, base_url: {url}/v1, model: {name}, api_key: {token}, max_tokens: 4096}}"


@tool
def weather(city: str) -> str:
    """The weather."""
    return city


def same(got, wanted):
    """Fails unless both are equal."""
    assert got == wanted, f"{got!r} is not {wanted!r}"


class LangChain:
    """`ChatOpenAI` in place of `create_llm`."""

    name = "python langchain"

    @staticmethod
    def llm(model, **more):
        return ChatOpenAI(base_url=f"{URL}/v1", api_key=TOKEN, model=model, max_retries=0, timeout=20, **more)

    def chat(self, model):
        answer = self.llm(model, temperature=0.5).invoke("hello")
        same((answer.content, answer.usage_metadata["total_tokens"]), (GREETING, 30))

    def stream(self, model):
        same("".join(chunk.content for chunk in self.llm(model).stream("hello")), GREETING)

    def responses(self, model):
        same(self.llm(model, use_responses_api=True).invoke("hello").text(), GREETING)

    def tools(self, model):
        calls = self.llm(model).bind_tools([weather]).invoke("What is the weather?").tool_calls
        same([call["args"]["city"] for call in calls], ["Paris", "Rome"])

    def errors(self, model):
        try:
            self.llm(f"{model}-503").invoke("hello")
        except openai.InternalServerError:
            return
        raise AssertionError("no error was raised")


class BorgLLM:
    """BorgLLM's own clients, with Pointsman as one of their providers."""

    name = "python borgllm"

    def openai(self, model):
        answer = BorgOpenAI().chat.completions.create(model=model, messages=HELLO)
        same(answer.choices[0].message.content, GREETING)

    def stream(self, model):
        chunks = BorgOpenAI().chat.completions.create(model=model, messages=HELLO, stream=True)
        same("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices), GREETING)

    def responses(self, model):
        same(BorgOpenAI().responses.create(model=model, input="hello").output_text, GREETING)

    def asynchronous(self, model):
        asking = BorgAsyncOpenAI().chat.completions.create(model=model, messages=HELLO)
        same(asyncio.run(asking).choices[0].message.content, GREETING)

    def create_llm(self, model):
        # It prints what it does.
        with contextlib.redirect_stdout(io.StringIO()):
            llm = create_llm(model)
        same(llm.invoke("hello").content, GREETING)
        same("".join(chunk.content for chunk in llm.stream("hello")), GREETING)


def main():
    """Every check over every upstream; one line each."""
    targets = [f"up-{upstream}" for upstream in UPSTREAMS]
    providers = "\n".join(PROVIDER.format(name=name, url=URL, token=TOKEN) for name in targets)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with open("borg.yaml", "w", encoding="utf-8") as file:
            file.write(BORG.format(providers=providers))
        for made in (LangChain(), BorgLLM()):
            names = [name for name in vars(type(made)) if not name.startswith("_") and name not in ("name", "llm")]
            for target, name in ((target, name) for target in targets for name in names):
                upstream = target.removeprefix("up-")
                subject = name.replace("_", " ")
                title = f"{made.name} over {upstream}: {subject}"
                if not all(word in title for word in ONLY):
                    continue
                try:
                    getattr(made, name)(target)
                    print(f"ok    {title}", flush=True)
                except Exception:
                    failed += 1
                    print(f"FAIL  {title}\n{traceback.format_exc()}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
