"""Build the read model anew, while the service and its projectors go on."""

import asyncio

from tqdm import tqdm

from .connections import connect_both
from .projector import open_projector


async def rebuild() -> None:
    async with connect_both() as (write, read), open_projector(write, read) as projector:
        with tqdm(unit=" tickets") as bar:
            bar.total = await write.tickets.estimated_document_count()
            async for done in projector.rebuild():
                bar.update(done - bar.n)


if __name__ == "__main__":
    asyncio.run(rebuild())
