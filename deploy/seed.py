"""Stores the API keys that DOORSTEP_KEYS names and the warehouse's endpoint, if one is given; repeatable."""

import asyncio
import json
import os
from collections.abc import Mapping

from db import keys, webhooks
from db.session import create_sessions, dispose


async def seed(environ: Mapping[str, str]) -> None:
    """Make the keys ``{name: {"secret", "scopes", "sources"?}}``, and the endpoint of the key ``warehouse``."""
    sessions = create_sessions(environ["DATABASE_URL"], pool_size=1)
    try:
        async with sessions.begin() as session:
            for name, key in json.loads(environ["DOORSTEP_KEYS"]).items():
                await keys.ensure_key(
                    session, name=name, secret=key["secret"], scopes=key["scopes"], sources=key.get("sources")
                )
            if environ.get("DOORSTEP_WAREHOUSE_WEBHOOK"):
                await webhooks.ensure_endpoint(
                    session,
                    key_name="warehouse",
                    url=environ["DOORSTEP_WAREHOUSE_WEBHOOK"],
                    secret=environ["DOORSTEP_WAREHOUSE_WEBHOOK_SECRET"],
                    events=["fulfillment.released"],
                    # The played floor is a part of this machine, and comes and goes with the rest.
                    quick=environ.get("DOORSTEP_WEBHOOKS_ALLOW_LOOPBACK") == "1",
                )
    finally:
        await dispose(sessions)


if __name__ == "__main__":
    asyncio.run(seed(os.environ))
