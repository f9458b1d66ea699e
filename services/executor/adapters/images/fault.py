"""The ways in which an image cannot be had."""

from services.executor.adapters.images.pulling import Cause
from theory.core.errors import NotReady, shown


def unavailable(ref: str, sentence: str) -> NotReady:
    """`NotReady` (`IMAGE_UNAVAILABLE`) of the processor `ref`."""
    return NotReady("IMAGE_UNAVAILABLE", f"the image of {ref} cannot be had: {sentence}", ref=shown(ref))


def unpulled(ref: str, cause: Cause) -> NotReady:
    """The same of an image that a registry was to send."""
    message = f"the image of {ref} cannot be had: {cause.sentence}"
    return NotReady("IMAGE_UNAVAILABLE", message, ref=shown(ref), cause=cause.value)
