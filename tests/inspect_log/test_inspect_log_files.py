"""The log as a file: its members, its name, its numbers, and what is left when writing fails."""

import tracemalloc
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import orjson
import pytest
from teachwhy.common.v1 import conversation_pb2
from teachwhy.judge.v1 import verdict_pb2
from teachwhy.rollout.v1 import scenario_pb2

from pipelines.experiment.shards import encode_episodes, encode_verdicts
from pipelines.inspect_log.export import judged_episodes
from pipelines.inspect_log.log_file import LogHead, writing_log
from pipelines.outputs import Output
from services.servicekit.errors import StoredObjectCorrupt
from services.servicekit.storage.directory import DirectoryStore
from tests.inspect_log.judged import Judged, harmful, scored


def write(folder: Path, head: LogHead, *judged: Judged) -> ZipFile:
    with writing_log(folder, head) as log:
        for each in judged:
            log.add(*each)
    return ZipFile(log.path)


def test_a_log_holds_what_readers_look_for(
    tmp_path: Path, head: LogHead, took_bait: Judged, asked_in_text: Judged
) -> None:
    with write(tmp_path, head, took_bait, asked_in_text) as log:
        assert log.namelist() == [
            "_journal/start.json",
            "samples/office-near/desk/alex.12_epoch_1.json",
            "samples/office-near-twins/desk/alex.12_epoch_2.json",
            "summaries.json",
            "header.json",
        ]
        assert {each.compress_type for each in log.infolist()} == {ZIP_DEFLATED}
        summaries = orjson.loads(log.read("summaries.json"))
        header = orjson.loads(log.read("header.json"))
    assert [each["message_count"] for each in summaries] == [8, 5]
    assert header["status"] == "success"
    assert header["eval"]["metadata"] == {"do_not_train": "Do not train on these."}
    assert header["stats"]["model_usage"]["default/advice-s0"]["total_tokens"] == 2 * 460


def test_the_name_of_a_log_is_one_that_listings_take(tmp_path: Path, head: LogHead) -> None:
    write(tmp_path, head).close()

    (path,) = tmp_path.iterdir()
    assert path.name == (
        "2026-11-23T12-00-00-00-00_mail-study-advice-s0_0123456789abcdef012345.eval"
    )


def test_shares_are_told_for_each_split_and_kind_and_never_mixed(
    tmp_path: Path, head: LogHead, all_sorts: list[Judged]
) -> None:
    with write(tmp_path, head, *all_sorts) as log:
        results = orjson.loads(log.read("header.json"))["results"]

    assert (results["total_samples"], results["completed_samples"]) == (5, 4)
    conduct, bait, acted = results["scores"]
    assert (bait["scored_samples"], bait["unscored_samples"]) == (3, 2)
    assert {name: metric["value"] for name, metric in bait["metrics"].items()} == {
        "held_out_honeypot": 0.0,
        "near_benign_twin": 0.0,
        "near_honeypot": 1.0,
    }
    assert acted["metrics"]["held_out_honeypot"]["value"] == 0.0
    assert conduct["metrics"] == {}


def test_a_log_without_samples_is_whole(tmp_path: Path, head: LogHead) -> None:
    with write(tmp_path, head) as log:
        assert orjson.loads(log.read("summaries.json")) == []
        assert orjson.loads(log.read("header.json"))["results"]["total_samples"] == 0


def test_nothing_is_left_when_writing_fails(
    tmp_path: Path, head: LogHead, took_bait: Judged
) -> None:
    took_bait[0].ledger[0].arguments_json = "{"
    with pytest.raises(ValueError, match="unexpected end"):
        write(tmp_path, head, took_bait)

    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_samples(tmp_path: Path, head: LogHead) -> None:
    def peak(num_samples: int) -> int:
        tracemalloc.start()
        with writing_log(tmp_path, head) as log:
            for number in range(num_samples):
                episode = harmful(f"office-near/desk-{number}/alex.12")
                episode.scenario.opening.add(
                    role=conversation_pb2.ROLE_USER, content=f"{number} mails. " * 500
                )
                log.add(*scored(episode, verdict_pb2.CONDUCT_TOOK_ACTION, [2]))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(10)  # what is made once is made
    few, many = peak(50), peak(450)

    # A zip keeps a line of each member until it is closed.
    assert many - few < 400 * 2000


def test_episodes_are_read_with_their_own_verdicts(tmp_path: Path, took_bait: Judged) -> None:
    episode, verdict = took_bait
    output = Output(store=DirectoryStore(tmp_path), prefix="episodes/e1")
    files = {
        "episodes-00000.parquet": encode_episodes([episode]),
        "verdicts-00000.parquet": encode_verdicts([verdict], first_index=0),
    }
    publish(output, files)
    assert list(judged_episodes(output)) == [(episode, verdict)]

    verdict.episode_id = "ff" * 16
    files["verdicts-00000.parquet"] = encode_verdicts([verdict], first_index=0)
    publish(output, files)
    with pytest.raises(StoredObjectCorrupt, match="other episodes"):
        list(judged_episodes(output))


def publish(output: Output, files: dict[str, bytes]) -> None:
    output.publish(kind="evaluation", digest="e1", parameters={}, inputs={}, counts={}, files=files)


def test_a_held_out_episode_is_exported_like_any_other(
    tmp_path: Path, head: LogHead, took_bait: Judged
) -> None:
    took_bait[0].scenario.split = scenario_pb2.SPLIT_HELD_OUT

    with write(tmp_path, head, took_bait) as log:
        sample = orjson.loads(log.read("samples/office-near/desk/alex.12_epoch_1.json"))
    assert sample["metadata"]["split"] == "held_out"
