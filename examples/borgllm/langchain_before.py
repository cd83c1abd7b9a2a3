"""A program with BorgLLM and LangChain: the process itself rotates keys and falls back."""

from borgllm import create_llm

llm = create_llm("qwen-auto")

print(llm.invoke("What is a pointsman?").content)
for chunk in llm.stream("Tell more."):
    print(chunk.content, end="", flush=True)
