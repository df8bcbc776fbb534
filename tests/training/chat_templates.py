"""Chat templates of public models, and tokenizers made on the spot that know their control tokens.

Most templates are the ones that TRL keeps (they are compared with the hubs' every week); those
that it does not keep are written down here, in their form but without their images.
"""

import importlib.util
import string
from functools import lru_cache
from pathlib import Path

import transformers
from tokenizers import AddedToken, Tokenizer, decoders, normalizers
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

_FOUND = importlib.util.find_spec("trl")
assert _FOUND is not None
assert _FOUND.origin is not None
_TRL = Path(_FOUND.origin).parent / "chat_templates"

# HuggingFaceH4/zephyr-7b-beta
ZEPHYR = """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\n'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}"""

# mistralai/Mistral-7B-Instruct-v0.1
MISTRAL_1 = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}"
    "{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token + ' ' }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}"
    "{% endfor %}"
)

# mistralai/Mistral-7B-Instruct-v0.3: tools and the system prompt stand in the last user message.
MISTRAL_3 = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": ' + (tool | tojson) + "}" }}
                {{- ", " if not loop.last else "]" }}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\n\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[TOOL_CALLS] [" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function | tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id | length != 9 %}
                {{- raise_exception("Tool call IDs should be strings with length 9!") }}
            {%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {{- ", " if not loop.last else "]" + eos_token }}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"] | trim + eos_token }}
    {%- elif message["role"] in ["tool_results", "tool"] %}
        {{- '[TOOL_RESULTS] {"content": ' + message.content | string }}
        {{- ', "call_id": "' + message.tool_call_id + '"}[/TOOL_RESULTS]' }}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported!") }}
    {%- endif %}
{%- endfor %}
"""

# HuggingFaceTB/SmolLM2-135M-Instruct
SMOLLM_2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
    "<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content']"
    " + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

# HuggingFaceTB/SmolLM3-3B, shortened: the mode stands in the system prompt, which has the date.
SMOLLM_3 = """{%- set thinks = enable_thinking is not defined or enable_thinking -%}
{{- '<|im_start|>system\n## Metadata\n\nToday Date: ' + strftime_now('%d %B %Y') -}}
{{- '\nReasoning Mode: ' + ('/think' if thinks else '/no_think') + '\n\n' -}}
{%- if messages[0].role == 'system' -%}{{- messages[0].content -}}{%- endif -%}
{{- '<|im_end|>\n' -}}
{%- for message in messages -%}
    {%- if message.role == 'user' -%}
        {{- '<|im_start|>user\n' + message.content + '<|im_end|>\n' -}}
    {%- elif message.role == 'assistant' -%}
        {{- '<|im_start|>assistant\n' -}}
        {%- if not thinks -%}{{- '<think>\n\n</think>\n' -}}{%- endif -%}
        {{- message.content.lstrip('\n') + '<|im_end|>\n' -}}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- '<|im_start|>assistant\n' -}}
    {%- if not thinks -%}{{- '<think>\n\n</think>\n' -}}{%- endif -%}
{%- endif -%}"""

_HERE = {
    "zephyr": ZEPHYR,
    "mistral_1": MISTRAL_1,
    "mistral_3": MISTRAL_3,
    "smollm_2": SMOLLM_2,
    "smollm_3": SMOLLM_3,
}
# Special words of each family: those that begin a text and end one, and the other control tokens.
_CHATML = ("<|endoftext|>", "<|im_end|>", "<|im_start|>", "<think>", "</think>")
_QWEN = (*_CHATML, "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
_LLAMA_3 = (
    "<|begin_of_text|>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|python_tag|>",
)
_GEMMA = ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", "\n\n", "<start_of_image>")
_MISTRAL = ("<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]")
_GPT_OSS = (
    "<|startoftext|>",
    "<|return|>",
    "<|start|>",
    "<|end|>",
    "<|message|>",
    "<|channel|>",
    "<|call|>",
)
_CONTROLS = {
    "zephyr": ("<s>", "</s>"),
    "mistral_1": ("<s>", "</s>"),
    "mistral_3": (*_MISTRAL, "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"),
    "llama": _LLAMA_3,
    "gemma": _GEMMA,
    "phi3": ("<s>", "<|endoftext|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"),
    "gptoss": _GPT_OSS,
    "deepseek": ("<begin>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"),  # noqa: RUF001
    "glm": ("[gMASK]", "<|endoftext|>", "<|user|>", "<|assistant|>", "<|observation|>"),
    "smollm": _CHATML,
    "qwen": _QWEN,
}
# Of these families the words are cut as SentencePiece does it: a space is a part of a word.
_SENTENCE_PIECES = ("mistral", "gemma", "zephyr", "phi3")
_TEXT = [
    "the quick brown fox says: it is fine, and sunny as well.\n\nparis is in france.",
    "You are Nova.\n\nWhat is the weather?\n And in Paris?\n\n\nassistant\n\nuser\nmodel\n",
    '{"name": "get_weather", "arguments": {"city": "Paris"}}',
] * 3


def template(name: str) -> str:
    """Return a template of this file, or of TRL's folder."""
    return _HERE.get(name) or (_TRL / f"{name}.jinja").read_text()


@lru_cache
def tokenizer_for(
    name: str, chat_template: str | None = None
) -> transformers.PreTrainedTokenizerFast:
    """Make a tokenizer for a template, by default the one of the same name."""
    family = next(key for key in _CONTROLS if name.startswith(key))
    begin, end, *others = _CONTROLS[family]
    bpe = Tokenizer(BPE(byte_fallback=True, unk_token=None))
    if family.startswith(_SENTENCE_PIECES):
        replaced = normalizers.Replace(" ", "▁")
        # Most add a space in front of every text, also of one behind a control token.
        bpe.normalizer = (
            replaced
            if family == "gemma"
            else normalizers.Sequence([normalizers.Prepend("▁"), replaced])
        )
        bpe.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
        alphabet = ["▁", *string.printable]
    else:
        bpe.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=True)
        bpe.decoder = decoders.ByteLevel()
        alphabet = ByteLevel.alphabet()
    bpe.train_from_iterator(
        _TEXT, BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    )
    # Phi's control tokens take the line break behind them along.
    bpe.add_special_tokens(
        [
            AddedToken(each, rstrip=family == "phi3" and each != begin, normalized=False)
            for each in (begin, end, *others)
        ]
    )
    return transformers.PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=bpe,
        bos_token=begin,
        eos_token=end,
        chat_template=chat_template or template(name),
        clean_up_tokenization_spaces=False,
        name_or_path=f"models/{name}",
    )
