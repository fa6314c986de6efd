#!/usr/bin/env python3
"""A wallet made of PyPI's lnurl:  wallet.py LNURL INVOICE

Prints, as JSON, what it was offered and how the claim ended. An ERROR of the service comes out as
{"error": reason}, which only a service that answers 200 and the right keys achieves.
"""

import asyncio
import json
import sys

import lnurl


async def main(text, invoice):
    try:
        offer = await lnurl.handle(text)
        if isinstance(offer, lnurl.LnurlErrorResponse):
            return {"error": offer.reason}
        assert isinstance(offer, lnurl.LnurlWithdrawResponse), type(offer)
        done = await lnurl.core.execute_withdraw(offer, invoice)
        assert isinstance(done, lnurl.LnurlSuccessResponse), type(done)
    except lnurl.LnurlResponseException as refused:
        return {"error": str(refused)}
    return {
        "description": offer.defaultDescription,
        "min_msat": int(offer.minWithdrawable),
        "max_msat": int(offer.maxWithdrawable),
        "status": done.status,
    }


print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
