#!/usr/bin/env python3
"""Holds `docent serve` against the official OpenAI client, which is used as it comes.

    pip install openai
    tests/openai_client.py [DOCENT]      DOCENT: the command, by default target/release/docent

Needs the small models. Every check prints a line; the exit status is 0 only if all hold.
"""

import json
import sys

import openai

from serving import Serving

CHECKS = []


def check(promise):
    CHECKS.append(promise)
    return promise


@check
def models_are_listed_and_found(client, writer):
    ids = [model.id for model in client.models.list()]
    assert "docent" in ids and writer in ids, ids
    assert client.models.retrieve("docent").id == "docent"
    try:
        client.models.retrieve("nothing")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found", error
    else:
        raise AssertionError("an unknown model was found")


@check
def a_chat_without_a_stream(client, writer):
    reply = client.chat.completions.create(
        model=writer, messages=[{"role": "user", "content": "Say hello."}], max_completion_tokens=12, temperature=0
    )
    assert reply.choices[0].message.role == "assistant" and reply.choices[0].message.content
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


@check
def a_chat_as_a_stream_says_the_same_and_counts_what_was_cached(client, writer):
    asked = dict(model=writer, messages=[{"role": "user", "content": "Name a colour."}], max_tokens=12, temperature=0)
    whole = client.chat.completions.create(**asked)
    text, usage, finish = "", None, None
    for chunk in client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}):
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
            finish = chunk.choices[0].finish_reason or finish
        usage = chunk.usage or usage
    assert text == whole.choices[0].message.content, (text, whole)
    assert finish == whole.choices[0].finish_reason
    assert usage.prompt_tokens_details.cached_tokens > 0, usage


@check
def a_stop_text_ends_the_answer(client, writer):
    asked = dict(model=writer, prompt="one two three four five six", max_tokens=30, temperature=0)
    free = client.completions.create(**asked).choices[0].text
    stop = free.split()[1]
    cut = client.completions.create(**asked, stop=[stop])
    assert cut.choices[0].text == free.split(stop)[0] and cut.choices[0].finish_reason == "stop", (free, cut)
    streamed = "".join(chunk.choices[0].text for chunk in client.completions.create(**asked, stop=stop, stream=True) if chunk.choices)
    assert streamed == cut.choices[0].text, (streamed, cut)


@check
def an_answer_is_json_of_a_schema(client, writer):
    schema = {
        "type": "object",
        "properties": {"colour": {"enum": ["red", "green", "blue"]}, "warm": {"type": "boolean"}},
        "required": ["colour", "warm"],
        "additionalProperties": False,
    }
    reply = client.chat.completions.create(
        model=writer,
        messages=[{"role": "user", "content": "A colour of the sea?"}],
        response_format={"type": "json_schema", "json_schema": {"name": "colour", "strict": True, "schema": schema}},
        max_tokens=60,
    )
    value = json.loads(reply.choices[0].message.content)
    assert value["colour"] in ("red", "green", "blue") and isinstance(value["warm"], bool), value


@check
def a_tool_is_called(client, writer):
    tool = {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather of a city",
            "parameters": {
                "type": "object",
                "properties": {"unit": {"enum": ["C", "F"]}},
                "required": ["unit"],
                "additionalProperties": False,
            },
        },
    }
    messages = [{"role": "user", "content": "How warm is it in Oslo?"}]
    choice = {"type": "function", "function": {"name": "weather"}}
    asked = dict(model=writer, messages=messages, tools=[tool], tool_choice=choice, max_tokens=80)
    reply = client.chat.completions.create(**asked)
    assert reply.choices[0].finish_reason == "tool_calls"
    call = reply.choices[0].message.tool_calls[0]
    assert call.function.name == "weather" and json.loads(call.function.arguments)["unit"] in ("C", "F")
    streamed = [
        piece
        for chunk in client.chat.completions.create(**asked, stream=True)
        if chunk.choices
        for piece in chunk.choices[0].delta.tool_calls or []
    ]
    assert streamed[0].function.name == "weather" and streamed[0].index == 0, streamed


@check
def embeddings_are_vectors_of_length_one(client, _writer):
    # The client asks for base64 by itself.
    made = client.embeddings.create(model="docent", input=["a boiler", "a lease", "a boiler"])
    first, second, third = (item.embedding for item in made.data)
    assert first == third != second and abs(sum(x * x for x in first) - 1) < 1e-3
    assert client.embeddings.create(model="all-minilm-l6-v2", input="a boiler").data[0].embedding == first


@check
def the_documents_answer_with_citations(client, _writer):
    messages = [{"role": "user", "content": "What is the normal pressure of the boiler?"}]
    reply = client.chat.completions.create(model="docent", messages=messages)
    assert "1.6 bar" in reply.choices[0].message.content and "Sources:" in reply.choices[0].message.content
    own = client.chat.completions.create(model="docent", messages=messages, extra_body={"docent": {"budget": 1000}})
    cited = own.docent["citations"][0]
    assert cited["check"] == "verified" and "1.6 bar" in cited["quote"], own
    chunks = list(client.chat.completions.create(model="docent", messages=messages, stream=True, extra_body={"docent": {}}))
    cited = [chunk.docent for chunk in chunks if getattr(chunk, "docent", None)]
    assert cited and cited[0]["status"] == own.docent["status"]


@check
def what_cannot_be_is_refused_as_the_client_knows_it(client, writer):
    messages = [{"role": "user", "content": "x"}]
    for wrong in ({"n": 2}, {"logprobs": True}, {"extra_body": {"docent": {"colection": "x"}}}):
        try:
            client.chat.completions.create(model=writer, messages=messages, max_tokens=1, **wrong)
        except openai.BadRequestError as error:
            assert error.message, error
        else:
            raise AssertionError(f"{wrong} was taken")


def main(arguments):
    documents = {
        "boiler.md": "# Boiler\n\nThe normal pressure of the boiler is between 1.2 and 1.6 bar.\n",
        "lease.md": "# Lease\n\nThe tenant gives notice three months before moving out.\n",
    }
    with Serving(arguments[0] if arguments else None, documents) as serving:
        client = openai.OpenAI(base_url=f"{serving.url}/v1", api_key="none", max_retries=0)
        failed = 0
        for promise in CHECKS:
            try:
                promise(client, "smollm2-135m-instruct")
                print(f"ok      {promise.__name__}")
            except Exception as error:  # noqa: BLE001: each failure is told, and the others still run
                failed += 1
                print(f"FAILED  {promise.__name__}: {type(error).__name__}: {error}")
    print(f"{len(CHECKS) - failed} passed, {failed} failed (openai {openai.__version__})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
