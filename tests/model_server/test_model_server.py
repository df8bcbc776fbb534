"""The tests' own model server does what the tests that use it believe."""

import json
import random
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, Field

from tests.model_server.answers import Reply, ToolUse, rate_limited, refusal, server_error
from tests.model_server.sample import author, sample_of, sample_text, schema_in
from tests.model_server.server import ModelServer, by_prompt

ROOT = Path(__file__).parents[2]
PROMPTS = [
    path
    for path in sorted((ROOT / "services/dataset/prompts").glob("*/*.md"))
    if "Answer with JSON" in path.read_text("utf-8")
]


class Mood(StrEnum):
    CALM = "calm"
    KEEN = "keen"


class Person(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=40)]
    mood: Mood
    age: Annotated[int, Field(gt=0, lt=3)]


class Scene(BaseModel):
    people: Annotated[list[Person], Field(min_length=2, max_length=5)]
    text: Annotated[str, Field(min_length=400)]
    score: Annotated[float, Field(ge=0.0, le=1.0)]
    remark: str | None = None
    is_real: bool


def ask(server: ModelServer, text: str, path: str = "/chat/completions") -> Any:
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    sent = urllib.request.Request(server.base_url + path, json.dumps(body).encode())
    with urllib.request.urlopen(sent, timeout=20) as answer:
        return json.load(answer)


def text_of(answer: Any) -> str:
    return str(answer["choices"][0]["message"]["content"])


@given(st.integers(0, 2**32))
def test_a_sample_fits_its_schema(seed: int) -> None:
    value = sample_of(Scene.model_json_schema(), random.Random(seed))

    Scene.model_validate(value)


def test_a_schema_in_the_prompt_is_answered_in_json() -> None:
    schema = json.dumps(Scene.model_json_schema(), indent=2)
    with ModelServer() as server:
        answer = ask(server, f"Write {{a scene}} as JSON by this schema:\n{schema}\nNothing else.")

    Scene.model_validate_json(text_of(answer))


def test_the_last_schema_of_a_prompt_counts() -> None:
    prompt = 'a {"properties": {"a": {}}} {"x": 1} b {"properties": {"b": {}}} {"y": {}}'

    assert schema_in(prompt) == {"properties": {"b": {}}}
    assert schema_in('no schema {"x": 1} {') is None


def test_a_form_after_the_word_json_is_filled_in() -> None:
    prompt = (
        """Answer with JSON alone: {"plans": [{"goal": "...", "is_new": false}], "why": "..."}"""
    )
    with ModelServer() as server:
        answer = json.loads(text_of(ask(server, prompt)))

    assert answer.keys() == {"plans", "why"}
    assert len({plan["goal"] for plan in answer["plans"]}) > 10
    assert {plan["is_new"] for plan in answer["plans"]} == {False}


@pytest.mark.parametrize("path", PROMPTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_shipped_prompt_for_json_is_answered_in_its_own_form(path: Path) -> None:
    asked, _, shown = path.read_text("utf-8").partition("# sample reply")

    with ModelServer() as server:
        answer = text_of(ask(server, asked))

    assert json.loads(answer).keys() == json.loads(shown).keys()


def test_an_author_with_fixed_fields_writes_all_else_as_always() -> None:
    schema = json.dumps(Scene.model_json_schema())
    with ModelServer(author(score=0.5, mood="keen")) as server:
        scene = Scene.model_validate_json(text_of(ask(server, schema)))
        form = json.loads(text_of(ask(server, 'JSON: {"why": "...", "score": 1}')))

    assert (scene.score, {person.mood for person in scene.people}) == (0.5, {Mood.KEEN})
    assert form["score"] == 0.5


def test_prompts_of_their_own_get_texts_of_their_own() -> None:
    with ModelServer() as server:
        texts = {text_of(ask(server, f"item {number}")) for number in range(20)}
        again = text_of(ask(server, "item 0"))

    assert len(texts) == 20
    assert again in texts
    assert len(sample_text(random.Random(0)).split()) > 15


def test_a_table_answers_by_the_first_regex_that_matches() -> None:
    table = by_prompt({r"scenario \d": "by text", "scenario": lambda asked: asked.last.upper()})
    with ModelServer(table) as server:
        answers = [text_of(ask(server, text)) for text in ("scenario 1", "scenario x")]
        other = text_of(ask(server, "else"))

    assert answers == ["by text", "SCENARIO X"]
    assert other not in answers


def test_completions_are_what_the_openai_client_expects() -> None:
    calling = Reply("t", "tool_calls", tool_calls=(ToolUse("send", '{"to": "x"}'),))
    with ModelServer(by_prompt({"call": calling, "no": refusal("never")})) as server:
        answers = [ask(server, text) for text in ("plain", "call", "no")]

    plain, called, refused = (ChatCompletion.model_validate(each, strict=True) for each in answers)
    assert plain.usage is not None
    assert plain.usage.total_tokens > plain.usage.prompt_tokens
    assert called.choices[0].message.tool_calls is not None
    assert refused.choices[0].message.refusal == "never"


def test_requests_are_counted_in_all_and_by_body() -> None:
    with ModelServer() as server:
        for text in ("a", "b", "a", "a"):
            ask(server, text)

    assert server.num_requests == 4
    assert sorted(server.counts.values()) == [1, 3]
    assert list(server.repeated().values()) == [3]
    assert [each.attempt for each in server.asked] == [0, 0, 1, 2]


def test_what_is_injected_hits_the_next_that_match_and_heals() -> None:
    with ModelServer(lambda _: Reply("ok")) as server:
        server.inject(server_error(), rate_limited("7"), when="^target")
        ask(server, "other")
        with pytest.raises(urllib.error.HTTPError, match="500"):
            ask(server, "target")
        with pytest.raises(urllib.error.HTTPError, match="429") as caught:
            ask(server, "target", "/messages")
        ask(server, "target")
        server.inject(server_error())
        server.heal()
        ask(server, "target")

    assert caught.value.headers["Retry-After"] == "7"
    assert json.load(caught.value)["error"]["type"] == "rate_limit_error"


def test_held_requests_wait_for_the_end_of_the_block() -> None:
    with ModelServer() as server:
        with server.held():
            asking = [threading.Thread(target=ask, args=(server, str(n))) for n in range(3)]
            for each in asking:
                each.start()
            server.wait_for(3)
            assert server.answered == 0
        for each in asking:
            each.join()

    assert (server.answered, server.most_in_flight) == (3, 3)


def test_waiting_for_requests_that_never_come_says_how_many_came() -> None:
    with ModelServer() as server, pytest.raises(TimeoutError, match="0 of 1 requests arrived"):
        server.wait_for(1, timeout_seconds=0.01)


def test_a_port_that_is_taken_fails_in_the_test() -> None:
    with (
        ModelServer() as server,
        pytest.raises(OSError, match="in use"),
        ModelServer(port=int(server.base_url.split(":")[2].split("/")[0])),
    ):
        pass


def test_it_runs_as_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "tests.model_server"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        base_url = process.stdout.readline().strip()
        with urllib.request.urlopen(f"{base_url}/models", timeout=20) as answer:
            counted = json.load(answer)
        process.terminate()
        assert process.wait(20) == 0

    assert counted == {"requests": 0, "distinct": 0}
