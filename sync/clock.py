"""What a phone's clock is worth.  Nothing is ever refused for its clock."""

from __future__ import annotations

SKEW_LIMIT_MS = 5 * 60_000
"""A clock off by more than this is flagged."""


def skew_ms(phone_now_ms: int, server_now_ms: int) -> int:
    """How far the phone's clock lags behind the server's, in ms; negative when it runs ahead."""
    return server_now_ms - phone_now_ms


def corrected_ms(wall_ms: int, skew: int, received_at_ms: int) -> int:
    """When it really happened, as well as can be known, in ms.

    Nothing happened after it was received, whatever the phone says.
    """
    return min(wall_ms + skew, received_at_ms)


def is_off(skew: int) -> bool:
    """Whether a skew in ms deserves a flag."""
    return abs(skew) > SKEW_LIMIT_MS
