"""Processors that run without a container: staged folders, named by a hash of their sources."""

import platform
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from services.executor.adapters.flight import Flights
from services.executor.adapters.images.context import REQUIREMENTS, BuildContext, read_context
from services.executor.adapters.images.digest import source_digest
from services.executor.adapters.images.fault import unavailable
from services.executor.adapters.images.packages import PackageSets, Target
from services.executor.adapters.images.stage import compile_site, stage
from services.executor.adapters.places.faults import translated
from services.executor.adapters.threads import Threads
from theory.core.adapters import ImageIdentity
from theory.core.errors import Unsupported
from theory.core.spec import ProcessorSpec
from theory.world.removal import remove_tree

PROGRAM = "processor.py"
_DRAFT = ".new-"


class StagedSources:
    """Folders below `home/staged`, each made once and never changed."""

    def __init__(self, home: Path, build_root: Path | None, threads: Threads) -> None:
        self._staged = home / "staged"
        self._build_root = build_root
        self._threads = threads
        self._packages = PackageSets(home / "packages", threads)
        self._flights: Flights[Path] = Flights()
        # Not that of the virtual environment: its packages are the executor's.
        self.python = Path(sys.executable).resolve()

    def tidy(self) -> None:
        """Remove what a killed executor left half made; before the first use."""
        self._packages.sweep()
        for each in self._staged.glob(f"{_DRAFT}*"):
            remove_tree(each)

    async def resolve(self, processor: ProcessorSpec) -> tuple[ImageIdentity, Path]:
        """What the processor's sources are now, and the folder they are staged in. `NotReady` (`IMAGE_UNAVAILABLE`)."""
        ref = processor.ref.text
        if processor.runtime.gpu is not None:
            raise Unsupported("CAPABILITY_MISSING", "this runtime has no graphics processors", capability="gpu")
        if processor.command is not None:
            raise unavailable(ref, "its command runs in its image only; without a container it is its processor.py")
        context = await self._threads.run(read_context, self._build_root, processor)
        if context.data(PROGRAM) is None:
            raise unavailable(ref, f"its build context has no {PROGRAM}")
        digest = source_digest(context, platform.python_version())
        place = self._place(digest)
        if not await self._threads.run(place.is_dir):
            await self._flights.join(digest, lambda: self._stage(ref, context, place))
        return ImageIdentity(digest, "process"), place

    async def pinned(self, processor: ProcessorSpec, digest: str | None) -> Path:
        """The folder of the sources that were resolved under this digest. `NotReady` where they have changed since."""
        if digest is not None and await self._threads.run(self._place(digest).is_dir):
            return self._place(digest)
        identity, place = await self.resolve(processor)
        if digest not in {None, identity.digest}:
            raise unavailable(processor.ref.text, "its sources have changed since the plan was resolved")
        return place

    async def close(self) -> None:
        """End what is under way."""
        await self._flights.close()
        await self._packages.close()

    def _place(self, digest: str) -> Path:
        return self._staged / digest.removeprefix("b3:")

    async def _stage(self, ref: str, context: BuildContext, place: Path) -> Path:
        requirements = context.data(REQUIREMENTS)
        packages = None
        if requirements:
            packages = await self._packages.folder(ref, requirements, Target(str(self.python), None))

        def make() -> Path:
            with translated():
                self._staged.mkdir(mode=0o700, parents=True, exist_ok=True)
                with TemporaryDirectory(prefix=_DRAFT, dir=self._staged) as work:
                    draft = Path(work) / "sources"
                    draft.mkdir()
                    stage(context, packages, draft)
                    compile_site(self.python, draft)
                    return draft.rename(place)

        return await self._threads.run(make)
