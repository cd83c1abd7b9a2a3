"""The same program with Pointsman: `pointsman serve` in the folder of borg.yaml, and these lines in place of `create_llm`."""

from langchain_openai import ChatOpenAI

pointsman = {"base_url": "http://localhost:8080/v1", "api_key": "any", "max_retries": 0}
llm = ChatOpenAI(model="qwen-auto", **pointsman)

print(llm.invoke("What is a pointsman?").content)
for chunk in llm.stream("Tell more."):
    print(chunk.content, end="", flush=True)
