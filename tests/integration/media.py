"""The demonstration's plan in small: pictures are probed and rendered, and one report is made of all of them."""

from collections.abc import Iterable, Sequence

from theory.core.jcs import JSON

PHOTOS = "/artifacts/inputs/photos/"


def media_plan(photos: Iterable[str], files: Sequence[JSON], **fields: JSON) -> dict[str, JSON]:
    """The plan over these names of photographs, whose files are uploaded."""
    items: list[JSON] = [{"photo": name, "path": f"{PHOTOS}{name}"} for name in photos]
    each: dict[str, JSON] = {"for_each": items, "reads": ["${item.path}"], "inputs": {"path": "${item.path}"}}
    return {
        "name": "media",
        "files": list(files),
        "transitions": [
            {"id": "probe", "processor": "media/probe@1", **each},
            {"id": "render", "processor": "media/render@1", "needs": ["probe"], **each},
            {
                "id": "report",
                "processor": "media/report@1",
                "needs": ["probe", "render"],
                "reads": ["/artifacts/outputs/probe/**", "/artifacts/outputs/render/**"],
            },
        ],
        **fields,
    }
