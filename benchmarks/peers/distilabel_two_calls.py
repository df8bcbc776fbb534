"""distilabel: two chained calls a record. Runs in its own environment, never in ours.

    python distilabel_two_calls.py BASE_URL NUM_RECORDS CONNECTIONS

Prints one JSON line: records written, seconds, CPU seconds. Start-up is not in it: a first small
run warms everything up.
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration


def cpu_seconds() -> float:
    """CPU time so far of this process and its ended children."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def run(base_url: str, num_records: int, connections: int, cache: Path) -> tuple[int, float]:
    """Write records; return how many and the seconds it took."""
    rows = [{"instruction": f"Write dilemma {i} for an adviser."} for i in range(num_records)]
    with Pipeline(name=f"two-calls-{num_records}", cache_dir=cache) as pipeline:
        load = LoadDataFromDicts(data=rows, batch_size=connections)
        draft = TextGeneration(
            llm=OpenAILLM(model="stub", base_url=base_url, api_key="none"),
            input_batch_size=connections,
            output_mappings={"generation": "draft", "model_name": "draft_model"},
        )
        rewrite = TextGeneration(
            llm=OpenAILLM(model="stub", base_url=base_url, api_key="none"),
            input_mappings={"instruction": "draft"},
            input_batch_size=connections,
        )
        load >> draft >> rewrite
    begun = time.perf_counter()
    distiset = pipeline.run(use_cache=False)
    seconds = time.perf_counter() - begun
    return len(distiset["default"]["train"]), seconds


def main() -> None:
    """Warm up, then measure."""
    base_url, num_records, connections = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with tempfile.TemporaryDirectory() as folder:
        start_up = run(base_url, connections, connections, Path(folder))[1]
        cpu_before = cpu_seconds()
        records, seconds = run(base_url, num_records, connections, Path(folder))
        result = {
            "records": records,
            "seconds": seconds,
            "start_up_seconds": start_up,
            "cpu_seconds": cpu_seconds() - cpu_before,
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
