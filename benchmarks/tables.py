"""Figures out of the stored records, and tables of them."""

from collections.abc import Iterable
from statistics import median, quantiles
from typing import Any

from .data import Document


def values(records: list[Document], key: str, **which: Any) -> list[Any]:
    """Return the values of the records that have all of `which`, in the order of the rounds."""
    return [record[key] for record in records if which.items() <= record.items()]


def middle(records: list[Document], key: str, **which: Any) -> float:
    return float(median(values(records, key, **which)))


def ratio(
    records: list[Document], who: str, to: str, key: str = "per_second", **which: Any
) -> float:
    """Return the median of the ratios in each round."""
    mine, others = (values(records, key, who=each, **which) for each in (who, to))
    return float(median(one / other for one, other in zip(mine, others, strict=True)))


def percentile(numbers: list[float], which: int) -> float:
    return quantiles(numbers, n=100)[which - 1]


def sizes_of(records: list[Document]) -> list[int]:
    """Return the numbers of tickets that were measured, the smallest first."""
    return sorted({record["tickets"] for record in records})


def medians_by_size(records: list[Document], what: str, who: str) -> dict[int, float]:
    """Return the median latency at each size where the answer, if a list, is a full page."""
    full_page = {"what": what, "who": who} | ({"items": 20} if what.startswith("list") else {})
    return {
        size: middle(records, "p50_ms", tickets=size, **full_page)
        for size in sizes_of(records)
        if values(records, "p50_ms", tickets=size, **full_page)
    }


def names(records: list[Document]) -> list[str]:
    """Return who was measured, in the order of the first round."""
    return list(dict.fromkeys(record["who"] for record in records))


def table(head: list[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table. All columns except the first have figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
