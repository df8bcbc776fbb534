"""How counters and histograms are asked, and the panels of their rates. Knows no JSON."""

from dataclasses import dataclass

from tools.dashboards.parts import Panel, Query


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Series whose names begin alike and that are selected alike."""

    prefix: str
    matchers: str
    always_by: tuple[str, ...] = ()
    """Labels that every sum keeps."""

    def rate(self, metric: str, *labels: str, matchers: str | None = None) -> str:
        """Ask how much a counter rises a second, summed but for the labels."""
        return self._sum("rate", metric, labels, matchers, "$__rate_interval")

    def increase(self, metric: str, *labels: str, matchers: str | None = None) -> str:
        """Ask how much it has risen within the range shown."""
        return self._sum("increase", metric, labels, matchers, "$__range")

    def ratio(self, part: str, whole: str, *labels: str, matchers: str | None = None) -> str:
        """Ask for the ratio of two rates; the matchers are those of the part."""
        return f"{self.rate(part, *labels, matchers=matchers)} / {self.rate(whole, *labels)}"

    def quantile(self, share: float, histogram: str, *labels: str) -> str:
        """Ask for a quantile, estimated from buckets."""
        buckets = self.rate(f"{histogram}_bucket", *labels, "le")
        return f"histogram_quantile({share}, {buckets})"

    def mean(self, histogram: str, *labels: str) -> str:
        """Ask for the mean of what was observed."""
        return self.ratio(f"{histogram}_sum", f"{histogram}_count", *labels)

    def buckets(self, histogram: str) -> str:
        """Ask for all observations, as a heatmap wants them."""
        series = f"{self.prefix}{histogram}_bucket{{{self.matchers}}}"
        return f"sum by (le) (increase({series}[$__rate_interval]))"

    def panel(
        self,
        metric: str,
        *labels: str,
        title: str,
        reading: str,
        when_empty: str,
        legend: str | None = None,
        matchers: str | None = None,
        unit: str = "cps",
        width: int = 12,
        is_stacked: bool = False,
    ) -> Panel:
        """Draw the rate of a counter, a line for each value of the labels."""
        return Panel(
            title=title,
            reading=reading,
            queries=(
                Query(
                    expression=self.rate(metric, *labels, matchers=matchers),
                    legend=legend
                    or " ".join(f"{{{{{label}}}}}" for label in (*self.always_by, *labels)),
                ),
            ),
            unit=unit,
            minimum=0,
            width=width,
            is_stacked=is_stacked,
            when_empty=when_empty,
        )

    def _sum(
        self, function: str, metric: str, labels: tuple[str, ...], matchers: str | None, span: str
    ) -> str:
        by = ", ".join((*self.always_by, *labels))
        series = f"{self.prefix}{metric}{{{matchers or self.matchers}}}"
        return f"sum by ({by}) ({function}({series}[{span}]))"
