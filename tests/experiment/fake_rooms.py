"""Rooms for tests of the pipelines: they answer over real gRPC what a test tells them to."""

# ruff: noqa: N802 - methods are named by the contract

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from teachwhy.common.v1 import contamination_pb2, conversation_pb2, model_pb2
from teachwhy.dataset.v1 import (
    audit_pb2,
    dataset_service_pb2,
    dataset_service_pb2_grpc,
    example_pb2,
    recipe_pb2,
)
from teachwhy.judge.v1 import judge_service_pb2_grpc
from teachwhy.rollout.v1 import rollout_service_pb2, rollout_service_pb2_grpc

from pipelines.experiment.rooms import RoomAddresses, Rooms

TOKENS_EACH = 10
CLAUSES = ("honesty", "privacy", "oversight")

Item = dataset_service_pb2.DatasetItem
Audit = Callable[
    [audit_pb2.AuditSettings, list[example_pb2.Example]], audit_pb2.AuditDatasetResponse
]


class Stop(Exception):
    """Ends a stream with a status and a reason of the contract."""

    def __init__(self, code: grpc.StatusCode, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message

    async def abort(self, context: Any) -> None:
        info = error_details_pb2.ErrorInfo(reason=self.reason, domain="teachwhy.dev")
        packed = any_pb2.Any()
        packed.Pack(info)
        status = status_pb2.Status(code=self.code.value[0], message=self.message, details=[packed])
        await context.abort_with_status(rpc_status.to_status(status))


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def stage_record(stage: str, reply: str, *, usd: float = 0.001) -> example_pb2.StageRecord:
    return example_pb2.StageRecord(
        stage=stage,
        prompt_version="1-aaaaaaaa",
        model=model_pb2.ModelRef(endpoint="author", model="writer"),
        model_revision="writer-2026 fp_1",
        reply_key=sha(f"key {reply}"),
        text_digest=sha(reply),
        usage=model_pb2.Usage(input_tokens=7, output_tokens=3),
        cost_usd=usd,
    )


class FakeDatasetRoom(dataset_service_pb2_grpc.DatasetServiceServicer):
    """Writes chats of `TOKENS_EACH` tokens; items in ``rejected`` become none."""

    def __init__(self) -> None:
        self.rejected: set[int] = set()
        self.stop_before: dict[int, Stop] = {}
        """Faults by index; each happens once."""
        self.audit: Audit = keep_all
        self.asked: list[dataset_service_pb2.GenerateExamplesRequest] = []
        self.sent: list[int] = []
        self.audits: list[tuple[audit_pb2.AuditSettings, list[int], list[str]]] = []
        """Settings, indexes of the examples and texts of the contrast, by call."""
        self.tools: tuple[conversation_pb2.ToolDefinition, ...] = ()
        self.refuse_plans: Stop | None = None
        self.calls_tools = False
        self.is_document = False
        self.replies: dict[str, str] = {}
        self.recipes = [
            recipe_pb2.Recipe(
                name="advice-reasons",
                title="Advice in the micro-world",
                form=recipe_pb2.TRAINING_FORM_CHAT,
                author=recipe_pb2.AUTHOR_KIND_GRAMMAR,
            ),
            recipe_pb2.Recipe(
                name="difficult-advice",
                title="Difficult advice",
                description="People ask, and hear why.",
                form=recipe_pb2.TRAINING_FORM_CHAT,
                author=recipe_pb2.AUTHOR_KIND_LANGUAGE_MODEL,
                stages=[
                    recipe_pb2.Stage(name="reply"),
                    recipe_pb2.Stage(name="final-rewrite", is_optional=True),
                ],
            ),
            recipe_pb2.Recipe(
                name="imported-chats",
                title="Imported chats",
                form=recipe_pb2.TRAINING_FORM_CHAT,
                author=recipe_pb2.AUTHOR_KIND_IMPORT,
            ),
        ]

    def item(self, index: int, cumulative: int, recipe: str) -> Item:
        is_written = recipe == "difficult-advice"
        reply = f"reply of item {index}"
        lineage = example_pb2.Lineage(
            recipe=recipe,
            recipe_revision="r" * 64,
            clause=CLAUSES[index % 2] if is_written else "",
            author="author/writer" if is_written else "microworld-grammar",
        )
        if is_written:
            lineage.constitution_digest = "c" * 64
            lineage.draws["type"] = "a \u00fcmlaut and a neighbour"
            lineage.cost_usd = 0.001
            lineage.stages.append(stage_record("scenario", f"shared by {index // 4}", usd=0.004))
            lineage.stages.append(stage_record("reply", reply))
            self.replies[sha(f"key {reply}")] = reply
        if index in self.rejected:
            return Item(
                rejection=example_pb2.Rejection(
                    index=index,
                    stage="reply",
                    reason=example_pb2.REJECTION_REASON_REFUSAL,
                    detail="it would not",
                    lineage=lineage,
                )
            )
        example = example_pb2.Example(
            index=index,
            id=sha(f"{recipe} {index}")[:32],
            num_tokens=TOKENS_EACH,
            cumulative_tokens=cumulative + TOKENS_EACH,
            lineage=lineage,
        )
        if self.is_document:
            example.document = f"document {index}"
        else:
            example.chat.CopyFrom(self.chat(index))
        return Item(example=example)

    def chat(self, index: int) -> example_pb2.Chat:
        turns = [
            conversation_pb2.Message(role=conversation_pb2.ROLE_USER, content=f"question {index}"),
            conversation_pb2.Message(
                role=conversation_pb2.ROLE_ASSISTANT,
                content=f"answer {index}, because it is honest",
            ),
        ]
        if self.calls_tools:
            call = conversation_pb2.ToolCall(id="call-0", tool="move", arguments_json="{}")
            turns[1:1] = [
                conversation_pb2.Message(role=conversation_pb2.ROLE_ASSISTANT, tool_calls=[call]),
                conversation_pb2.Message(
                    role=conversation_pb2.ROLE_TOOL, content="moved", tool_call_id="call-0"
                ),
            ]
        return example_pb2.Chat(messages=turns, tools=self.tools)

    async def ListRecipes(self, request: Any, context: Any) -> Any:
        return dataset_service_pb2.ListRecipesResponse(recipes=self.recipes)

    async def ListClauses(self, request: Any, context: Any) -> Any:
        clauses = [
            dataset_service_pb2.Clause(id=name, headings=[name.title()], text=f"Mind {name}.")
            for name in CLAUSES
        ]
        return dataset_service_pb2.ListClausesResponse(
            clauses=clauses, constitution_digest="c" * 64
        )

    async def PlanDataset(self, request: Any, context: Any) -> Any:
        if self.refuse_plans:
            await self.refuse_plans.abort(context)
        spec = recipe_pb2.DatasetSpec()
        spec.CopyFrom(request.spec)
        if spec.HasField("language_model"):
            spec.language_model.ClearField("spending_limit")
        digest = hashlib.sha256(spec.SerializeToString(deterministic=True)).hexdigest()
        return dataset_service_pb2.PlanDatasetResponse(digest=digest, estimated_examples=1)

    async def GenerateExamples(
        self, request: Any, context: Any
    ) -> AsyncIterator[dataset_service_pb2.GenerateExamplesResponse]:
        self.asked.append(request)
        index, tokens = request.resume_from.next_index, request.resume_from.cumulative_tokens
        while tokens < request.spec.token_budget:
            if fault := self.stop_before.pop(index, None):
                await fault.abort(context)
            item = self.item(index, tokens, request.spec.recipe)
            if item.WhichOneof("item") == "example":
                tokens = item.example.cumulative_tokens
            self.sent.append(index)
            yield dataset_service_pb2.GenerateExamplesResponse(items=[item])
            index += 1

    async def PreviewExamples(self, request: Any, context: Any) -> AsyncIterator[Any]:
        for index in range(request.max_items):
            item = self.item(index, 0, request.spec.recipe)
            prompt = conversation_pb2.Message(
                role=conversation_pb2.ROLE_USER, content=f"[bold]write item {index}[/bold]"
            )
            stage = dataset_service_pb2.StageText(
                record=stage_record("reply", "x"), prompt=[prompt], reply=f"draft {index}"
            )
            kind = item.WhichOneof("item")
            assert kind is not None
            yield dataset_service_pb2.PreviewExamplesResponse(
                **{kind: getattr(item, kind)}, stages=[stage]
            )

    async def GetReplies(self, request: Any, context: Any) -> Any:
        if any(key not in self.replies for key in request.keys):
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such reply")
        return dataset_service_pb2.GetRepliesResponse(
            texts=[self.replies[key] for key in request.keys]
        )

    async def AuditDataset(self, requests: Any, context: Any) -> Any:
        settings, examples, contrast = audit_pb2.AuditSettings(), [], []
        async for request in requests:
            match request.WhichOneof("content"):
                case "settings":
                    settings = request.settings
                case "examples":
                    examples += request.examples.examples
                case "contrast":
                    contrast += [
                        each.chat.messages[-1].content for each in request.contrast.examples
                    ]
        self.audits.append((settings, [each.index for each in examples], contrast))
        return self.audit(settings, list(examples))


class FakeRolloutRoom(rollout_service_pb2_grpc.RolloutServiceServicer):
    """Holds scenarios out that nobody sees."""

    async def GetContaminationFilter(self, request: Any, context: Any) -> Any:
        held_out = contamination_pb2.ContaminationFilter(
            ngram_words=request.ngram_words or 8,
            ngram_hashes=[1, 2, 3],
            canaries=["canary-1"],
            revision=sha(f"{request.world_seed} {list(request.suites)}"),
        )
        return rollout_service_pb2.GetContaminationFilterResponse(filter=held_out)


def keep_all(
    settings: audit_pb2.AuditSettings, examples: list[example_pb2.Example]
) -> audit_pb2.AuditDatasetResponse:
    return dropping(set())(settings, examples)


def dropping(indexes: set[int], *, max_share: float = 1.0) -> Audit:
    """An audit whose first gate drops some examples, and fails above a share."""

    def audit(
        settings: audit_pb2.AuditSettings, examples: list[example_pb2.Example]
    ) -> audit_pb2.AuditDatasetResponse:
        dropped = [each for each in examples if each.index in indexes]
        kept = [each for each in examples if each.index not in indexes]
        share = len(dropped) / len(examples)
        passed = share <= max_share
        return audit_pb2.AuditDatasetResponse(
            passed=passed,
            gates=[
                audit_pb2.GateReport(
                    gate="duplicates",
                    ran=True,
                    passed=passed,
                    checked=len(examples),
                    dropped=len(dropped),
                    measures=[
                        audit_pb2.GateMeasure(name="dropped_share", value=share, max=max_share)
                    ],
                    explanation="Texts repeat each other; more styles would help.",
                ),
                audit_pb2.GateReport(gate="quality"),
            ],
            dropped=[
                audit_pb2.DroppedExample(index=each.index, gate="duplicates", detail="is alike")
                for each in dropped
            ],
            kept=len(kept),
            kept_tokens=sum(each.num_tokens for each in kept),
        )

    return audit


@asynccontextmanager
async def serving(
    dataset: dataset_service_pb2_grpc.DatasetServiceServicer | None = None,
    *,
    rollout: rollout_service_pb2_grpc.RolloutServiceServicer | None = None,
    judge: judge_service_pb2_grpc.JudgeServiceServicer | None = None,
) -> AsyncIterator[Rooms]:
    """Serve the rooms for as long as the block runs; of those not given there is a rollout room."""
    server = grpc.aio.server()
    if dataset is not None:
        dataset_service_pb2_grpc.add_DatasetServiceServicer_to_server(dataset, server)
    rollout_service_pb2_grpc.add_RolloutServiceServicer_to_server(
        rollout or FakeRolloutRoom(),  # type: ignore[abstract]  # asked for nothing else
        server,
    )
    if judge is not None:
        judge_service_pb2_grpc.add_JudgeServiceServicer_to_server(judge, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    addresses = RoomAddresses(dataset=address, rollout=address, judge=address, scoreboard=address)
    try:
        async with Rooms(addresses) as rooms:
            yield rooms
    finally:
        await server.stop(0)
