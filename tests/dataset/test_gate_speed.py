"""The measurement of the gates that benchmarks use works, and nothing has become quadratic."""

from tests.dataset.gate_speed import measure_gates


async def test_the_gates_keep_a_pace_and_their_numbers_can_be_asked_for() -> None:
    numbers = await measure_gates(300)

    assert numbers.report.gates[0].checked == 300
    assert numbers.examples_per_cpu_second > 20  # a canary for something quadratic, no benchmark
