"""Where films are drawn: once each, on one thread, kept on disk within bounds."""

import hashlib
import shutil
import tempfile
import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import av

from videos.sandbox import film as films
from videos.sandbox.crew import Crew
from videos.sandbox.world import Film

_BACKLOG = 4  # films drawn ahead of anybody's asking; further ones wait until they are asked for
_KEPT_BYTES = 1024**3


class Studio:
    """Films by description. A film thrown out for room is drawn again, the same to the last byte."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="sandbox-films-"))
        self._crew = Crew("sandbox-studio", size=1)
        self._lock = threading.Lock()
        self._films: OrderedDict[str, Future[Path]] = OrderedDict()
        self._pictures: dict[str, bytes] = {}

    def prepare(self, film: Film, *, quick: bool) -> None:
        """Draw the film soon, unless many wait already."""
        with self._lock:
            waiting = sum(not future.done() for future in self._films.values())
            if waiting < _BACKLOG and not quick:
                self._future(film, quick=quick)

    def film(self, film: Film, *, quick: bool) -> Path:
        """The film's file; waits until it is drawn."""
        with self._lock:
            future = self._future(film, quick=quick)
        return future.result()

    def still(self, film: Film, *, quick: bool) -> bytes:
        """A frame from the middle of the film, as JPEG."""
        path = self.film(film, quick=quick)
        out = path.with_suffix(".jpg")
        if not out.exists():
            with av.open(str(path)) as container:
                container.seek(film.duration_s * av.time_base // 2)
                next(container.decode(video=0)).to_image().save(out, quality=85)  # type: ignore[no-untyped-call]
        return out.read_bytes()

    def close(self) -> None:
        self._crew.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _future(self, film: Film, *, quick: bool) -> Future[Path]:
        name = hashlib.sha256(repr((film, quick)).encode()).hexdigest()
        future = self._films.get(name)
        if future is None or (future.done() and (future.exception() or not future.result().exists())):
            future = self._films[name] = self._crew.submit(lambda: self._draw(name, film, quick=quick))
        self._films.move_to_end(name)
        return future

    def _draw(self, name: str, film: Film, *, quick: bool) -> Path:
        out = self._folder / f"{name}.mp4"
        if quick:
            shape = f"quick-{film.aspect.replace(':', 'x')}-{film.resolution}-{film.duration_s}.mp4"
            plain = self._folder / shape
            if not plain.exists():
                films.draw_quick(plain, aspect=film.aspect, resolution=film.resolution, duration_s=film.duration_s)
            shutil.copyfile(plain, out)
        else:
            films.draw(out, replace(film, mark=""))
        with out.open("ab") as end:
            end.write(films.box(film.mark))
        self._make_room(keep=name)
        return out

    def _make_room(self, *, keep: str) -> None:
        with self._lock:
            sizes = [
                (name, future.result(), future.result().stat().st_size)
                for name, future in self._films.items()
                if name != keep and future.done() and not future.exception() and future.result().exists()
            ]
            total = sum(size for _, _, size in sizes)
            for name, path, size in sizes:
                if total <= _KEPT_BYTES:
                    break
                path.unlink(missing_ok=True)
                path.with_suffix(".jpg").unlink(missing_ok=True)
                del self._films[name]
                total -= size
