"""Where attempts run: directories of the host for what runs, memory for what only pretends to."""

from services.executor.adapters.places.directories import DirectoryPlaces
from services.executor.adapters.places.memory import MemoryPlaces
from services.executor.adapters.places.routed import RoutedPlaces
from theory.world.cache import DEFAULT_CACHE_BYTES, Download

__all__ = ["DEFAULT_CACHE_BYTES", "DirectoryPlaces", "Download", "MemoryPlaces", "RoutedPlaces"]
