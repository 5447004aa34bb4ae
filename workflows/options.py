"""How activities are called, by kind of call: time-outs and retries in one place."""

from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy


class Options(TypedDict, total=False):
    """What ``workflow.start_activity`` takes."""

    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta
    retry_policy: RetryPolicy


LOCAL_WRITE: Options = {
    "start_to_close_timeout": timedelta(seconds=2),
    "retry_policy": RetryPolicy(initial_interval=timedelta(milliseconds=50), maximum_attempts=2),
}
"""A quick idempotent write of ours inside the workflow task; when it fails twice, the same as ``DB_WRITE``."""

DB_WRITE: Options = {
    "start_to_close_timeout": timedelta(seconds=5),
    "retry_policy": RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=10)),
}
"""A write of ours that must succeed in the end."""

PROVIDER_CALL: Options = {
    "start_to_close_timeout": timedelta(seconds=30),
    "retry_policy": RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=60)),
}
"""A carrier: asked until it answers."""

PAYMENT: Options = {
    "start_to_close_timeout": timedelta(seconds=20),
    "retry_policy": RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=60)),
}
"""The payment provider: asked until it answers; the activity itself stops sending once the provider forgets keys."""
