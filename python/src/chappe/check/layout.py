"""Where the halves of a mod are, and which nodes of a deploy.json have which mods (spec sections 4 and 5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..py2.source import decode
from . import lenient_json
from .api import CLIENT, ROLE_OF_GROUP
from .finding import Finding
from .suggest import did_you_mean

#: Where a mod has its two halves.
HALVES = ("developer_mods", "behavior_packs")
_NO_CODE = {"__pycache__", "tests", "node_modules"}


@dataclass(eq=False)
class Half:
    """One directory of a mod that stands in the import path: of the network's side, or of the client."""

    root: Path
    client: bool
    name: str
    files: list[Path] = field(default_factory=list)
    supports: frozenset[str] | None = None
    supports_at: tuple[str, int, int] | None = None
    modules: tuple[str, ...] = ()


@dataclass(eq=False)
class Mod:
    """A mod's directory with its halves."""

    path: Path
    halves: list[Half] = field(default_factory=list)


@dataclass(eq=False)
class Node:
    """A node with what runs on it. `opaque`: a program that cannot be looked into. `is_bare`: deploy.json gives it neither mods
    nor a program. `place`: where deploy.json has it."""

    label: str
    role: str
    type: str | None
    halves: list[Half]
    group: str = ""
    modules: tuple[str, ...] = ()
    opaque: bool = False
    count: int = 1
    place: tuple[str, int, int] | None = None
    listed: dict[Half, tuple[str, int, int]] = field(default_factory=dict)
    is_bare: bool = False


class Layout:
    """Reads folders and files; collects what is wrong with them as findings."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.mods: dict[Path, Mod] = {}

    def mod(self, path: Path) -> Mod:
        """The mod in that directory, read once."""
        key = path.resolve()
        if key not in self.mods:
            self.mods[key] = self._read_mod(path)
        return self.mods[key]

    def deploy(self, path: Path) -> list[Node]:
        """The nodes of a deploy.json. Ids, ports and the like are `chappe check`'s business, not said here."""
        read = self._json(path, notes=False)
        nodes: list[Node] = []
        root = read.root.value if read else None
        if read and not isinstance(root, dict):
            self._find((str(path), 1, 1), "json-syntax", "a deploy.json holds an object: {...}")
        for group, entries in (root.items() if isinstance(root, dict) else ()):
            if group not in ROLE_OF_GROUP:
                continue
            for entry in entries.value if isinstance(entries.value, list) else [entries]:
                if isinstance(entry.value, dict):
                    nodes.append(self._node(path, group, entry))
        return nodes

    def _node(self, path: Path, group: str, entry: lenient_json.Node) -> Node:
        fields = entry.value
        text = decode(path.read_bytes())
        place = (str(path), *_line_column(text, entry.offset))
        halves: list[Half] = []
        listed: dict[Half, tuple[str, int, int]] = {}
        names = _names(fields.get("mods"))
        for name, offset in names:
            folder = path.parent / name
            at = (str(path), *_line_column(text, offset))
            if not folder.is_dir():
                known = [other.name for other in folder.parent.iterdir() if other.is_dir()] if folder.parent.is_dir() else []
                self._find(at, "missing-mod", f"no directory `{name}` beside this file{did_you_mean(folder.name, known)}")
                continue
            mod = self.mod(folder)
            if mod.halves and all(half.client for half in mod.halves):
                self._find(at, "client-mod-on-server",
                           f"the mod `{name}` has a client half only (behavior_packs), so nothing of it runs on a {group}: "
                           "take it out here and give it to the clients")
            halves += [half for half in mod.halves if not half.client]
            listed |= {half: at for half in mod.halves}
        serverid = fields["serverid"].plain() if "serverid" in fields else "?"
        kind = fields["type"].plain() if "type" in fields else None
        number = fields["num"].plain() if "num" in fields else 1
        count = number if isinstance(number, int) and not isinstance(number, bool) else 1
        node = Node(f"{group} {serverid}", ROLE_OF_GROUP[group], kind if isinstance(kind, str) else group, halves, group,
                    tuple(name for name, _ in _names(fields.get("module_names"))), not names, count, place, listed,
                    not names and "program" not in fields)
        return node

    def _read_mod(self, path: Path) -> Mod:
        mod = Mod(path)
        for part, client in (("developer_mods", False), ("behavior_packs", True)):
            folder = path / part
            for root in sorted(folder.iterdir()) if folder.is_dir() else ():
                if root.is_dir() and not root.name.startswith("."):
                    mod.halves.append(self._half(root, client, must_have_main=not client))
        if not mod.halves:
            # Somebody points at a half itself, or at the folder with the scripts.
            client = "behavior_packs" in path.resolve().parts
            mod.halves.append(self._half(path, client, must_have_main=True))
        return mod

    def _half(self, root: Path, client: bool, must_have_main: bool) -> Half:
        # A folder that is itself the package with modMain.py is imported from the folder above it.
        is_package = (root / "modMain.py").is_file() and (root / "__init__.py").is_file() and root.name.isidentifier()
        half = Half(root.parent if is_package else root, client, root.name)
        half.files = sorted(file for file in root.rglob("*.py")
                            if not any(part in _NO_CODE or part.startswith(".") for part in file.relative_to(root).parts[:-1]))
        if (root / "mod.json").is_file():
            self._mod_json(root / "mod.json", half)
        if not any(file.name == "modMain.py" for file in half.files) and (must_have_main or half.files):
            script = next((file.parent for file in half.files if file.name == "__init__.py"), None) or _script_folder(root)
            near = [file.name for file in half.files if file.name.lower() == "modmain.py"]
            why = f"it is named `{near[0]}`; rename it" if near else "nothing of this mod is started: add a class under @Mod.Binding there"
            self._find((str(script / "modMain.py"), 1, 1), "missing-modmain", f"there is no modMain.py; {why}")
        return half

    def _mod_json(self, path: Path, half: Half) -> None:
        read = self._json(path)
        if not read or not isinstance(read.root.value, dict):
            return
        half.modules = tuple(name for name, _ in _names(read.root.value.get("module_names")))
        names = [name.lower() for name, _ in _names(read.root.value.get("support_server_type"))]
        if names:
            at = read.root.value["support_server_type"].offset
            half.supports = frozenset(names)
            half.supports_at = (str(path), *_line_column(decode(path.read_bytes()), at))

    def _json(self, path: Path, notes: bool = True) -> lenient_json.Read | None:
        text = decode(path.read_bytes())
        try:
            read = lenient_json.parse(text)
        except lenient_json.JsonError as error:
            self._find((str(path), *_line_column(text, error.offset)), "json-syntax", str(error))
            return None
        for code, offset, message in read.notes if notes else ():
            self._find((str(path), *_line_column(text, offset)), code, message)
        return read

    def _find(self, place: tuple[str, int, int], code: str, message: str) -> None:
        self.findings.append(Finding(*place, code, message))


def mod_folders(path: Path) -> list[Path]:
    """The mods that a directory stands for: itself, the one that it is a part of, or all that it holds."""
    if path.resolve().name in HALVES:
        return [path.parent if path.name in HALVES else path.resolve().parent]
    if any((path / part).is_dir() for part in HALVES):
        return [path]
    held = [folder for folder in sorted(path.iterdir()) if any((folder / part).is_dir() for part in HALVES)]
    return held or [path]


def nodes_of_mods(mods: list[Mod]) -> list[Node]:
    """Without a deploy.json: one node of each role, that has all the mods."""
    dev = [half for mod in mods for half in mod.halves if not half.client]
    nodes = [Node(group, role, None, dev, group) for group, role in ROLE_OF_GROUP.items() if group != "game"] if dev else []
    return nodes + client_nodes(mods, dev)


def client_nodes(mods: list[Mod], halves: list[Half]) -> list[Node]:
    """The players' games: one node with the client halves of every mod there is."""
    packs = [half for mod in mods for half in mod.halves if half.client]
    return [Node("client", CLIENT, None, packs or [], "client")] if packs else []


def serves(node: Node, half: Half) -> bool:
    """Whether a mod.json's `support_server_type` has this node."""
    if half.supports is None or node.role == CLIENT:
        return True
    return bool(half.supports & {node.group, (node.type or "").lower()})


def _script_folder(root: Path) -> Path:
    folders = [folder for folder in root.iterdir() if folder.is_dir() and folder.name.endswith("Script")]
    return sorted(folders)[0] if folders else root


def _names(node: lenient_json.Node | None) -> list[tuple[str, int]]:
    if node is None:
        return []
    if isinstance(node.value, str):
        return [(name.strip(), node.offset) for name in node.value.split(",") if name.strip()]
    if isinstance(node.value, list):
        return [(item.value.strip(), item.offset) for item in node.value if isinstance(item.value, str) and item.value.strip()]
    return []


def _line_column(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1
