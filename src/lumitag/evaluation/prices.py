"""What recognizing costs in money.

Amazon Rekognition Image, "Group 2" (DetectLabels), region US East (N. Virginia), in US dollars without tax and without
the free tier, from https://aws.amazon.com/rekognition/pricing/ as of October 2026. Prices change and differ between
regions: look there before you decide. Image properties are billed on top and are not asked for here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

SOURCE: Final = "aws.amazon.com/rekognition/pricing, DetectLabels, US East (N. Virginia), October 2026"

# (so many images a month, US dollars an image), each tier after the one before
_TIERS: Final = ((1_000_000, 0.0010), (4_000_000, 0.0008), (30_000_000, 0.0006), (math.inf, 0.00025))


@dataclass(frozen=True)
class MonthlyCost:
    """What a number of images a month costs with Rekognition, in US dollars; the embedded models cost 0 a call."""

    images: int
    usd: float


def rekognition_usd(images: int) -> float:
    """Return what Rekognition asks for so many images in one month, in US dollars."""
    total = 0.0
    for size, price in _TIERS:
        in_tier = min(images, size)
        total += in_tier * price
        images -= int(in_tier)
    return round(total, 4)


def monthly_costs(images_per_month: int | None) -> tuple[MonthlyCost, ...]:
    """Return the cost of a thousand and a million images a month, and of the user's own number."""
    numbers = {1_000, 1_000_000, *([] if images_per_month is None else [images_per_month])}
    return tuple(MonthlyCost(number, rekognition_usd(number)) for number in sorted(numbers))
