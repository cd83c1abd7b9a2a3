"""A program with BorgLLM's OpenAI client."""

from borgllm import BorgOpenAI

client = BorgOpenAI()

messages = [{"role": "user", "content": "What is a pointsman?"}]
print(client.chat.completions.create(model="qwen-auto", messages=messages).choices[0].message.content)
print(client.responses.create(model="qwen-auto", input="Tell more.").output_text)
