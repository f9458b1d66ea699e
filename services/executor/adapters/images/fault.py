"""The one way in which an image cannot be had."""

from theory.core.errors import NotReady, shown


def unavailable(ref: str, sentence: str) -> NotReady:
    """`NotReady` (`IMAGE_UNAVAILABLE`) of the processor `ref`."""
    return NotReady("IMAGE_UNAVAILABLE", f"the image of {ref} cannot be had: {sentence}", ref=shown(ref))
