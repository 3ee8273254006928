"""The import hook: files below given roots are loaded as Python 2 or Python 3, whichever they are."""

from __future__ import annotations

import builtins
import functools
import hashlib
import importlib.machinery
import importlib.util
import linecache
import marshal
import os
import sys
import tempfile
import tokenize
import types
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import fissix

from .namespace import BUILTINS
from .semantics import to_tree
from .source import decode
from .verdict import is_python2

Mode = Literal["auto", "always", "never"]


@functools.cache
def _version() -> bytes:
    """Of the translation: the hash of what makes it, so that no kept code outlives a change."""
    found = hashlib.sha256(importlib.util.MAGIC_NUMBER + fissix.__version__.encode())
    for name in ("source", "syntax", "literals", "leaks", "semantics"):
        found.update((Path(__file__).parent / f"{name}.py").read_bytes())
    return found.digest()


def translate(text: str, filename: str) -> types.CodeType:
    """The code of Python 2 text (decoded). Raises `SyntaxError` with the original file, line and text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(to_tree(text, filename), filename, "exec", dont_inherit=True)


class Cache:
    """Translated code on disk, by the hash of path, content, translator and interpreter. A cache that cannot be written is no error."""

    def __init__(self, folder: str | os.PathLike[str] | None) -> None:
        self._folder = Path(folder) if folder is not None else None

    def code(self, data: bytes, path: str) -> types.CodeType:
        """The code of the file at ``path`` with the content ``data``."""
        if self._folder is None:
            return translate(decode(data), path)
        seed = _version() + path.encode("utf-8", "surrogateescape") + b"\0"
        place = self._folder / (hashlib.sha256(seed + data).hexdigest() + ".code")
        try:
            found = marshal.loads(place.read_bytes())
            if isinstance(found, types.CodeType):
                return found
        except (OSError, ValueError, EOFError, TypeError):
            pass
        code = translate(decode(data), path)
        self._keep(place, marshal.dumps(code))
        return code

    def _keep(self, place: Path, content: bytes) -> None:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=place.parent, prefix=".new-")
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(temporary, place)
        except OSError:
            pass


class Py2Loader(importlib.machinery.SourceFileLoader):
    """Loads one file below a root."""

    def __init__(self, fullname: str, path: str, root: str, mode: Mode, cache: Cache) -> None:
        super().__init__(fullname, path)
        self._root, self._mode, self._cache = root, mode, cache
        self._python2: bool | None = None

    def is_python2(self) -> bool:
        """Whether the file is translated."""
        if self._python2 is None:
            self._python2 = self._mode == "always" or (
                self._mode == "auto" and is_python2(decode(self.get_data(self.path)), self.path, self._root)
            )
        return self._python2

    def get_code(self, fullname: str) -> types.CodeType | None:
        if not self.is_python2():
            return super().get_code(fullname)
        return self._cache.code(self.get_data(self.path), self.path)

    def get_source(self, fullname: str) -> str:
        return decode(self.get_data(self.path))

    def exec_module(self, module: types.ModuleType) -> None:
        if self.is_python2():
            module.__dict__["__builtins__"] = BUILTINS
            show_source(self.path)
        super().exec_module(module)


def show_source(path: str) -> None:
    """Lets tracebacks show the lines of a file whose encoding Python 3 would not guess."""
    try:
        with tokenize.open(path) as file:
            file.read()
    except (OSError, SyntaxError, UnicodeDecodeError, LookupError):
        try:
            text = decode(Path(path).read_bytes())
        except OSError:
            return
        linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)


class Py2Finder:
    """On ``sys.meta_path``, before the finder of files: gives files below its roots a `Py2Loader`."""

    def __init__(self, roots: Sequence[str], mode: Mode, cache: Cache) -> None:
        self.roots, self._mode, self._cache = list(roots), mode, cache

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or not spec.origin or type(spec.loader) is not importlib.machinery.SourceFileLoader:
            return spec
        root = self._root_of(spec.origin)
        if root is None:
            return spec
        loader = Py2Loader(fullname, spec.origin, root, self._mode, self._cache)
        return importlib.util.spec_from_file_location(
            fullname, spec.origin, loader=loader, submodule_search_locations=spec.submodule_search_locations
        )

    def invalidate_caches(self) -> None:
        """Nothing is remembered here."""

    def _root_of(self, origin: str) -> str | None:
        real = os.path.abspath(origin)
        return next((root for root in self.roots if real.startswith(root + os.sep)), None)


def default_cache() -> Path:
    """``$CHAPPE_CACHE/py2``, else ``chappe/py2`` in the user's cache directory."""
    if os.environ.get("CHAPPE_CACHE"):
        return Path(os.environ["CHAPPE_CACHE"]) / "py2"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chappe" / "py2"


def install(
    roots: Iterable[str | os.PathLike[str]],
    mode: Mode = "auto",
    cache_dir: str | os.PathLike[str] | None = "",
    extend_path: bool = True,
) -> Py2Finder:
    """Installs the hook for the files below ``roots`` and returns it (for `uninstall`).

    ``mode``: ``auto`` decides per file, ``always`` translates every file below the roots, ``never`` none.
    ``cache_dir``: where translated code is kept; `default_cache` when it is not given, None for nowhere.
    ``extend_path``: also puts the roots in front of ``sys.path``. Raises `ValueError` for another mode.
    """
    if mode not in ("auto", "always", "never"):
        raise ValueError(f"mode must be auto, always or never, not {mode!r}")
    folders = [os.path.abspath(root) for root in roots]
    finder = Py2Finder(folders, mode, Cache(default_cache() if cache_dir == "" else cache_dir))
    places = [index for index, each in enumerate(sys.meta_path) if each is importlib.machinery.PathFinder]
    sys.meta_path.insert(places[0] if places else len(sys.meta_path), finder)  # type: ignore[arg-type]
    if extend_path:
        sys.path[:0] = [folder for folder in folders if folder not in sys.path]
    importlib.invalidate_caches()
    return finder


def uninstall(finder: Py2Finder) -> None:
    """Removes what `install` returned. Modules that were imported stay."""
    if finder in sys.meta_path:
        sys.meta_path.remove(finder)  # type: ignore[arg-type]


def run_path(path: str | os.PathLike[str], name: str = "__main__", mode: Mode = "always", arguments: Sequence[str] = ()) -> dict[str, Any]:
    """Runs a file as a program, as Python 2 unless ``mode`` finds it to be Python 3. Returns its namespace."""
    filename = os.path.abspath(path)
    data = Path(filename).read_bytes()
    text = decode(data)
    python2 = mode == "always" or (mode == "auto" and is_python2(text, filename, os.path.dirname(filename)))
    module = types.ModuleType(name)
    module.__dict__.update(__file__=filename, __builtins__=BUILTINS if python2 else builtins, __package__=None)
    before, loaded = sys.argv, sys.modules.get(name)
    sys.argv = [os.fspath(path), *arguments]
    sys.modules[name] = module
    try:
        show_source(filename)
        exec(translate(text, filename) if python2 else compile(data, filename, "exec"), module.__dict__)
    finally:
        sys.argv = before
        if loaded is not None:
            sys.modules[name] = loaded
    return module.__dict__
