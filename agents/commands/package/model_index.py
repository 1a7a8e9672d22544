"""The entry `model-index` of a card: what was measured, in the form that the Hugging Face hub reads."""

from typing import Any

CRITERIA = ("correct", "anatomical")


def model_index(title: str, judge: str, hands: int, measured: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Describe measured rates.

    Args:
        title: The card's title.
        judge: The judge that measured, in words.
        hands: Number of latents that were judged.
        measured: For each way to draw hands, in words: "correct" and "anatomical", each with "share", "low" and "high",
            in [0, 1], the latter two a 95 % interval.

    Returns:
        One model, with a result for each way.
    """
    results = [
        {
            "task": {"type": "unconditional-image-generation", "name": "Drawing hands"},
            # huggingface_hub merges results whose task, type and config are the same, whatever the name
            "dataset": {"type": "latents", "name": f"{hands:,} hands {way}", "config": way, "args": {"hands": hands}},
            "metrics": [_metric(name, judge, hands, rates[name]) for name in CRITERIA],
        }
        for way, rates in measured.items()
    ]
    return [{"name": title, "results": results}]


def _metric(name: str, judge: str, hands: int, rate: dict[str, Any]) -> dict[str, Any]:
    value, low, high = (round(100 * rate[key], 1) for key in ("share", "low", "high"))
    return {
        "type": name,
        "name": f"{name} hands by {judge}, % of {hands:,}",
        "value": value,
        "args": {"low_95": low, "high_95": high},
    }
