"""The same program with Pointsman: OpenAI's own client, and where it calls."""

from openai import OpenAI

client = OpenAI(base_url="http://localhost:8080/v1", api_key="any", max_retries=0)

messages = [{"role": "user", "content": "What is a pointsman?"}]
print(client.chat.completions.create(model="qwen-auto", messages=messages).choices[0].message.content)
print(client.responses.create(model="qwen-auto", input="Tell more.").output_text)
