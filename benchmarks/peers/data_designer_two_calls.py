"""data-designer: two chained language-model columns a record. Runs in its own environment.

    python data_designer_two_calls.py BASE_URL NUM_RECORDS CONNECTIONS

Prints one JSON line: records written, seconds, CPU seconds. Start-up is not in it: a first small
run warms everything up.
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import data_designer.config as dd
from data_designer.interface import DataDesigner


def cpu_seconds() -> float:
    """CPU time so far of this process and its ended children."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def configuration(connections: int) -> dd.DataDesignerConfigBuilder:
    """A drawn kind of dilemma and two columns of model replies."""
    parameters = dd.ChatCompletionInferenceParams(
        temperature=1.0, max_tokens=256, max_parallel_requests=connections
    )
    model = dd.ModelConfig(
        alias="writer", model="stub", provider="stub", inference_parameters=parameters
    )
    builder = dd.DataDesignerConfigBuilder(model_configs=[model])
    kinds = dd.CategorySamplerParams(values=["a secret", "a promise", "a mistake", "a bribe"])
    builder.add_column(
        dd.SamplerColumnConfig(name="kind", sampler_type=dd.SamplerType.CATEGORY, params=kinds)
    )
    builder.add_column(
        dd.LLMTextColumnConfig(
            name="draft",
            model_alias="writer",
            prompt="Write a dilemma about {{ kind }} for an adviser.",
        )
    )
    builder.add_column(
        dd.LLMTextColumnConfig(name="reply", model_alias="writer", prompt="Answer: {{ draft }}")
    )
    return builder


def main() -> None:
    """Warm up, then measure."""
    base_url, num_records, connections = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    provider = dd.ModelProvider(
        name="stub", endpoint=base_url, provider_type="openai", api_key="none"
    )
    with tempfile.TemporaryDirectory() as folder:
        designer = DataDesigner(artifact_path=Path(folder), model_providers=[provider])
        designer.set_run_config(dd.RunConfig(otel_metrics_port=None))
        begun = time.perf_counter()
        designer.create(configuration(connections), num_records=connections, dataset_name="warm")
        start_up = time.perf_counter() - begun
        cpu_before, begun = cpu_seconds(), time.perf_counter()
        created = designer.create(
            configuration(connections), num_records=num_records, dataset_name="measured"
        )
        records = len(created.load_dataset())
        result = {
            "records": records,
            "seconds": time.perf_counter() - begun,
            "start_up_seconds": start_up,
            "cpu_seconds": cpu_seconds() - cpu_before,
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
