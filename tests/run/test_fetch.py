"""`metanas data fetch` against a server on this machine."""

import errno
import fcntl
import hashlib
import io
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from metanas.run.interrupt import Interrupt
from tasks.archive import Archive
from tasks.catalogue import CARDS
from tasks.errors import DataError

FOLDERS = ("omniglot-py/images_background", "omniglot-py/images_evaluation")


def packed(folder: str) -> bytes:
    """A zip file of one folder with 300 KB that cannot be compressed."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr(f"{folder}/Latin/character01/1.png", hashlib.shake_256(folder.encode()).digest(300_000))
    return content.getvalue()


@dataclass
class Server:
    """Some files over HTTP, and what was asked for."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    continues: bool = True
    """Whether Range is obeyed."""
    cut: int | None = None
    """Bytes of a body after which the connection is closed."""
    ranges: list[str | None] = field(default_factory=list)
    """The header Range of each request."""

    def archive(self, folder: str) -> Archive:
        name = f"{Path(folder).name}.zip"
        content = self.files[f"/{name}"]
        md5 = hashlib.md5(content).hexdigest()
        return Archive(url=f"{self.url}/{name}", md5=md5, size=len(content), folder=folder)


def handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            server.ranges.append(asked)
            content = server.files.get(self.path)
            if content is None:
                return self.send_error(404)
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.continues else 0
            if start and start >= len(content):
                return self.send_error(416)
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start:][: server.cut])
            return None

        def log_message(self, *arguments: object) -> None:
            del arguments

    return Handler


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Two archives, which the catalogue calls Omniglot while the test runs."""
    monkeypatch.setenv("no_proxy", "*")
    served = Server(files={f"/{Path(folder).name}.zip": packed(Path(folder).name) for folder in FOLDERS})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(served)) as http:
        served.url = f"http://127.0.0.1:{http.server_address[1]}"
        archives = tuple(map(served.archive, FOLDERS))
        monkeypatch.setitem(CARDS, "omniglot", replace(CARDS["omniglot"], archives=archives))
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        http.shutdown()
        thread.join()


def fetched(root: Path) -> bool:
    """Whether all is there as it was packed, and nothing else."""
    files = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    bodies = {f"{f}/Latin/character01/1.png": hashlib.shake_256(Path(f).name.encode()).digest(300_000) for f in FOLDERS}
    return files == bodies and sorted(path.name for path in (root / "omniglot-py").iterdir()) == [
        Path(folder).name for folder in FOLDERS
    ]


def files_of(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_a_data_set_is_fetched_once(metanas, server: Server, tmp_path: Path) -> None:
    root = tmp_path / "new" / "data"
    said = metanas("data", "fetch", "omniglot", f"data.root={root}")
    assert (said.code, said.out) == (0, f"fetched omniglot: {root}\n")
    assert [line.split("  ")[0] for line in said.err.splitlines()] == [
        "MB of images_background.zip 1/1",
        "MB of images_evaluation.zip 1/1",
    ]
    assert fetched(root)
    server.ranges.clear()
    again = metanas("data", "fetch", "omniglot", f"data.root={root}")
    assert (again.code, again.out, again.err) == (0, f"nothing to fetch for omniglot: present in {root}\n", "")
    assert server.ranges == []


def test_the_environment_names_the_directory_and_quiet_is_quiet(
    metanas, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METANAS_DATA", str(tmp_path))
    said = metanas("data", "fetch", "omniglot", "-q")
    assert (said.code, said.out, said.err) == (0, f"fetched omniglot: {tmp_path}\n", "")
    assert fetched(tmp_path)


def test_a_part_beside_its_folder_is_removed(metanas, server: Server, tmp_path: Path) -> None:
    for folder in FOLDERS:
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "images_background.zip.part").touch()  # of a process that was killed at its very end
    assert "present in" in metanas("data", "fetch", "omniglot", f"data.root={tmp_path}").out
    assert files_of(tmp_path) == []


def test_only_what_is_missing_is_fetched(metanas, server: Server, tmp_path: Path) -> None:
    (tmp_path / FOLDERS[0]).mkdir(parents=True)
    assert metanas("data", "fetch", "omniglot", f"data.root={tmp_path}").code == 0
    assert len(server.ranges) == 1
    assert (tmp_path / FOLDERS[1] / "Latin").is_dir()


@pytest.mark.parametrize("continues", [True, False], ids=["Range is obeyed", "Range is ignored"])
def test_a_connection_that_was_cut_is_continued(metanas, server: Server, tmp_path: Path, continues: bool) -> None:
    server.continues, server.cut = continues, 100_000
    size, url = len(server.files["/images_background.zip"]), f"{server.url}/images_background.zip"
    line = metanas("data", "fetch", "-q", "omniglot", f"data.root={tmp_path}").line
    assert line == f"metanas: expected {size:,} bytes of {url}, got 100,000; fetch again to continue"
    assert files_of(tmp_path) == ["images_background.zip.part"]
    server.cut = None
    assert metanas("data", "fetch", "omniglot", f"data.root={tmp_path}").code == 0
    assert server.ranges[:2] == [None, "bytes=100000-"]
    assert fetched(tmp_path)


@pytest.mark.parametrize("extra", [0, 5])
def test_a_part_that_is_no_beginning_is_not_trusted(metanas, server: Server, tmp_path: Path, extra: int) -> None:
    size = len(server.files["/images_background.zip"])
    (tmp_path / "images_background.zip.part").write_bytes(bytes(size + extra))
    assert metanas("data", "fetch", "omniglot", f"data.root={tmp_path}").code == 0
    assert server.ranges[:2] == [f"bytes={size + extra}-", None]
    assert fetched(tmp_path)


def test_a_part_that_is_whole_needs_no_server(metanas, server: Server, tmp_path: Path) -> None:
    for name in ("images_background.zip", "images_evaluation.zip"):
        (tmp_path / f"{name}.part").write_bytes(server.files[f"/{name}"])
    assert metanas("data", "fetch", "omniglot", f"data.root={tmp_path}").code == 0
    assert server.ranges == []
    assert fetched(tmp_path)


def test_a_wrong_checksum_is_one_line(metanas, server: Server, tmp_path: Path) -> None:
    published = CARDS["omniglot"].archives[0].md5
    content = bytes(5) + server.files["/images_background.zip"][5:]
    server.files["/images_background.zip"] = content
    line = metanas("data", "fetch", "-q", "omniglot", f"data.root={tmp_path}").line
    assert line == (
        f"metanas: expected images_background.zip with md5 {published}, got {hashlib.md5(content).hexdigest()} from "
        f"{server.url}/images_background.zip; the file has been removed, fetch it again"
    )
    assert files_of(tmp_path) == []


def test_an_archive_that_cannot_be_opened_is_one_line(
    metanas, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["/images_background.zip"] = server.files["/images_background.zip"][:-50]
    archives = tuple(map(server.archive, FOLDERS))
    monkeypatch.setitem(CARDS, "omniglot", replace(CARDS["omniglot"], archives=archives))
    line = metanas("data", "fetch", "-q", "omniglot", f"data.root={tmp_path}").line
    assert "expected images_background.zip to be a whole archive, got one that cannot be read" in line
    assert files_of(tmp_path) == []


def test_files_that_are_not_packed_are_fetched(
    metanas, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = {"train_32x32.mat": bytes(1000), "test_32x32.mat": bytes(2000)}
    server.files = {f"/{name}": content for name, content in contents.items()}
    archives = tuple(
        Archive(url=f"{server.url}/{name}", md5=hashlib.md5(body).hexdigest(), size=len(body), folder="svhn")
        for name, body in contents.items()
    )
    monkeypatch.setitem(CARDS, "svhn", replace(CARDS["svhn"], archives=archives))
    server.files["/test_32x32.mat"] = bytes(1999) + b"x"
    line = metanas("data", "fetch", "-q", "svhn", f"data.root={tmp_path}").line
    assert line.startswith(f"metanas: expected test_32x32.mat with md5 {archives[1].md5}, got ")
    assert files_of(tmp_path) == ["svhn/train_32x32.mat"]
    server.files["/test_32x32.mat"] = contents["test_32x32.mat"]
    assert metanas("data", "fetch", "svhn", f"data.root={tmp_path}").out == f"fetched svhn: {tmp_path}\n"
    assert {path.name: path.read_bytes() for path in (tmp_path / "svhn").iterdir()} == contents
    assert files_of(tmp_path) == ["svhn/test_32x32.mat", "svhn/train_32x32.mat"]
    assert len(server.ranges) == 3  # the first file was whole


KILL = "import os, signal\ndef kill(*_, **__): os.kill(os.getpid(), signal.SIGKILL)\n"
MOMENTS = {
    "in the download": ("", "kill"),
    "before unpacking": ("Archive.unpack = kill\n", "print"),
    "while unpacking": ("import zipfile\nzipfile.ZipFile._extract_member = kill\n", "print"),
    "before the rename": ("from pathlib import Path\nPath.rename = kill\n", "print"),
    "after the rename": ("from pathlib import Path\nPath.unlink = kill\n", "print"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_fetch_that_was_killed_is_completed(metanas, server: Server, tmp_path: Path, moment: str) -> None:
    patch, show = MOMENTS[moment]
    archive = CARDS["omniglot"].archives[0]
    program = (
        f"{KILL}from pathlib import Path\nfrom tasks.archive import Archive\nfrom tasks.fetch import fetch\n{patch}"
        f"fetch({archive!r}, Path({str(tmp_path)!r}), {show})\n"
    )
    killed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path / archive.folder).is_dir() == (moment == "after the rename")
    assert (tmp_path / "images_background.zip.part").is_file()
    assert metanas("data", "fetch", "omniglot", f"data.root={tmp_path}").code == 0
    assert fetched(tmp_path)


def test_ctrl_c_keeps_what_has_come(metanas, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Interrupt, "check", lambda self, check=Interrupt.check: (os.kill(os.getpid(), 2), check(self)))
        said = metanas("data", "fetch", "-q", "omniglot", f"data.root={tmp_path}")
    assert (said.code, said.err) == (130, "metanas: stopped by SIGINT\n")
    assert files_of(tmp_path) == ["images_background.zip.part"]
    assert metanas("data", "fetch", "omniglot", f"data.root={tmp_path}").code == 0
    assert server.ranges[1] == "bytes=65536-"
    assert fetched(tmp_path)


def test_two_at_once_are_refused(metanas, server: Server, tmp_path: Path) -> None:
    part = tmp_path / "images_background.zip.part"
    with open(part, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        line = metanas("data", "fetch", "-q", "omniglot", f"data.root={tmp_path}").line
    assert line == f"metanas: {part} is being written by another process; wait for it or stop it"


def test_a_directory_that_cannot_be_written_is_one_line(metanas, server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    line = metanas("data", "fetch", "-q", "omniglot", f"data.root={tmp_path / 'file' / 'data'}").line
    assert line == (
        f"metanas: expected to write images_background.zip below {tmp_path}/file/data, got Not a directory; "
        "make room, or choose another directory by data.root=DIR"
    )
    assert server.ranges == []


def test_a_disk_that_takes_no_more_is_one_line(metanas, server: Server, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, before[1]))
    try:
        line = metanas("data", "fetch", "-q", "omniglot", f"data.root={tmp_path}").line
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert f"below {tmp_path}, got File too large; make room" in line
    assert files_of(tmp_path) == ["images_background.zip.part"]
    assert metanas("data", "fetch", "omniglot", f"data.root={tmp_path}").code == 0
    assert server.ranges[1] == "bytes=150000-"
    assert fetched(tmp_path)


def test_a_disk_that_fills_up_while_unpacking_keeps_the_download(
    metanas, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "extractall", full)
        line = metanas("data", "fetch", "-q", "omniglot", f"data.root={tmp_path}").line
    assert "got No space left on device; make room" in line
    assert files_of(tmp_path) == ["images_background.zip.part"]
    assert metanas("data", "fetch", "omniglot", f"data.root={tmp_path}").code == 0
    assert len(server.ranges) == 2
    assert fetched(tmp_path)


def test_a_server_that_lacks_the_file_is_one_line(metanas, server: Server, tmp_path: Path) -> None:
    del server.files["/images_background.zip"]
    line = metanas("data", "fetch", "-q", "omniglot", f"data.root={tmp_path}").line
    url = f"{server.url}/images_background.zip"
    assert line == (
        f"metanas: expected an answer from {url}, got HTTP 404 Not Found; check the network, or download it by other "
        "means"
    )
    assert files_of(tmp_path) == []


def published_at(place: socket.socket, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of Omniglot's first archive, now its only one, at a socket that serves nothing."""
    url = f"http://127.0.0.1:{place.getsockname()[1]}/images_background.zip"
    archive = replace(CARDS["omniglot"].archives[0], url=url)
    monkeypatch.setitem(CARDS, "omniglot", replace(CARDS["omniglot"], archives=(archive,)))
    return url


def test_no_route_to_the_server_is_one_line(
    metanas, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = published_at(closed, monkeypatch)
    line = metanas("data", "fetch", "-q", "omniglot", f"data.root={tmp_path}").line
    assert f"expected an answer from {url}, got Connection refused; check the network" in line
    assert files_of(tmp_path) == []


def test_a_server_that_falls_silent_is_one_line(
    metanas, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.download._PATIENCE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = published_at(silent, monkeypatch)
        line = metanas("data", "fetch", "-q", "omniglot", f"data.root={tmp_path}").line
    assert f"expected an answer from {url}, got timed out" in line


@pytest.mark.parametrize("name", ["glyphs", "folder"])
def test_what_is_not_published_needs_no_fetching(metanas, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv("METANAS_DATA", raising=False)
    said = metanas("data", "fetch", name)
    assert (said.code, said.out, said.err) == (0, f"nothing to fetch for {name}: {CARDS[name].origin}\n", "")


def test_what_has_no_archives_is_refused_until_it_is_there(metanas, tmp_path: Path) -> None:
    line = metanas("data", "fetch", "tiered_imagenet", f"data.root={tmp_path}").line
    assert f"expected tieredImageNet in {tmp_path}/tiered-imagenet/train_images_png.pkl or " in line
    assert "got nothing there; put tiered-imagenet-* of https://zenodo.org/records/7978538" in line
    assert "no checksums are published, so that nothing is fetched" in line
    for part in ("train", "val", "test"):
        (tmp_path / "tiered-imagenet" / part).mkdir(parents=True)
    said = metanas("data", "fetch", "tiered_imagenet", f"data.root={tmp_path}")
    assert (said.code, said.out) == (0, f"nothing to fetch for tiered_imagenet: present in {tmp_path}\n")


def test_a_file_that_is_no_archive_is_fetched_beside_one(
    metanas, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files |= {"/jpg.zip": packed("jpg"), "/imagelabels.mat": b"labels" * 20_000}
    labels = server.files["/imagelabels.mat"]
    md5 = hashlib.md5(labels).hexdigest()
    file = Archive(url=f"{server.url}/imagelabels.mat", md5=md5, size=len(labels), folder="flowers-102")
    archives = (server.archive("flowers-102/jpg"), file)
    monkeypatch.setitem(CARDS, "vgg_flowers", replace(CARDS["vgg_flowers"], archives=archives))
    server.files["/imagelabels.mat"] = b"forged"
    line = metanas("data", "fetch", "-q", "vgg_flowers", f"data.root={tmp_path}").line
    assert f"expected imagelabels.mat with md5 {md5}, got " in line
    assert files_of(tmp_path) == ["flowers-102/jpg/Latin/character01/1.png"]
    server.files["/imagelabels.mat"], server.cut = labels, 70_000
    line = metanas("data", "fetch", "-q", "vgg_flowers", f"data.root={tmp_path}").line
    assert "got 70,000; fetch again to continue" in line
    assert not (tmp_path / "flowers-102" / "imagelabels.mat").exists()
    server.cut = None
    assert metanas("data", "fetch", "-q", "vgg_flowers", f"data.root={tmp_path}").out == (
        f"fetched vgg_flowers: {tmp_path}\n"
    )
    assert server.ranges[-1] == "bytes=70000-"
    assert (tmp_path / "flowers-102" / "imagelabels.mat").read_bytes() == labels
    assert files_of(tmp_path) == ["flowers-102/imagelabels.mat", "flowers-102/jpg/Latin/character01/1.png"]


def test_mistakes_are_one_line(metanas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("METANAS_DATA", raising=False)
    assert metanas("data", "fetch", "omnigot").line == (
        f"metanas: expected a data set, one of {', '.join(CARDS)}, got 'omnigot'; choose one of them"
    )
    assert metanas("data", "fetch").line == (
        f"metanas: expected a data set, one of {', '.join(CARDS)}, got no name; choose one of them"
    )
    assert "expected a directory of data sets, got none; set data.root=DIR" in metanas("data", "fetch", "fc100").line
    assert metanas("data", "fetch", "omniglot", "data.rot=x").code == 2


def test_the_remedy_of_missing_data_is_the_verb() -> None:
    for card in CARDS.values():
        if card.archives:
            with pytest.raises(DataError, match=r"; run metanas data fetch (\w+), or (unpack|put)") as caught:
                card.require(Path("nowhere"))
            named = re.search(r"fetch (\w+)", str(caught.value))
            assert named
            assert CARDS[named[1]].archives == card.archives
