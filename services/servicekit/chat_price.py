"""What tokens cost. Knows no endpoint."""

from dataclasses import dataclass

from services.servicekit.chat import Usage

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A model host's price list for one model."""

    usd_per_million_input_tokens: float
    usd_per_million_output_tokens: float

    def usd(self, usage: Usage) -> float:
        """Return what this usage costs, in US dollars."""
        return (
            usage.input_tokens * self.usd_per_million_input_tokens
            + usage.output_tokens * self.usd_per_million_output_tokens
        ) / _MILLION
