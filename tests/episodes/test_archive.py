"""Archives that are opened: whole folders out of good ones, nothing at all out of others."""

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks import DataError
from tasks.archive import Archive, checksum
from tasks.catalogue import CARDS

PLAIN = b"not packed at all"
FILES = {"things/a/1.txt": b"one", "things/b/2.txt": b"two"}
MAC = {"__MACOSX/things/._a": b"left by a Mac"}


def zipped(files: dict[str, bytes], link: str | None = None) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for name, data in files.items():
            packed.writestr(name, data)
        if link:
            member = zipfile.ZipInfo(link)
            member.external_attr = (stat.S_IFLNK | 0o777) << 16
            packed.writestr(member, "/etc")
    return content.getvalue()


def tarred(files: dict[str, bytes], link: str | None = None) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        if link:
            member = tarfile.TarInfo(link)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc"
            tar.addfile(member)
    return content.getvalue()


Pack = Callable[..., bytes]
KINDS = pytest.mark.parametrize(("pack", "suffix"), [(zipped, "zip"), (tarred, "tar.gz")])


def unpack(content: bytes, suffix: str, root: Path) -> None:
    root.mkdir(exist_ok=True)
    (root / "file").write_bytes(content)
    archive = Archive(url=f"http://here/things.{suffix}", md5="", size=len(content), folder="set/things")
    archive.unpack(root / "file", root)


def refusal(content: bytes, suffix: str, root: Path) -> str:
    """Why nothing was unpacked, after a look that nothing was."""
    with pytest.raises(DataError) as caught:
        unpack(content, suffix, root)
    assert [path for path in root.rglob("*") if path.name not in ("file", "set")] == []
    assert sorted(path.name for path in root.parent.iterdir()) == [root.name]
    return str(caught.value)


@KINDS
def test_the_folder_of_an_archive_lies_where_it_belongs(tmp_path: Path, pack: Pack, suffix: str) -> None:
    stale = tmp_path / "set" / ".things.unpacking" / "things" / "stale.txt"  # of a process that was killed
    stale.parent.mkdir(parents=True)
    stale.touch()
    unpack(pack(FILES | MAC), suffix, tmp_path)
    written = {str(path.relative_to(tmp_path / "set")): path.read_bytes() for path in tmp_path.glob("set/**/*.txt")}
    assert written == FILES
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["things"]


def test_a_file_that_is_not_packed_lies_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(PLAIN)
    archive = Archive(url="http://here/things.mat", md5="", size=len(PLAIN), folder="set/things")
    assert not archive.is_present(tmp_path)
    archive.unpack(tmp_path / "file", tmp_path)
    assert archive.is_present(tmp_path)
    assert (tmp_path / "set" / "things" / "things.mat").read_bytes() == PLAIN
    assert [path.name for path in (tmp_path / "set" / "things").iterdir()] == ["things.mat"]


@KINDS
@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "things/../../out.txt"])
def test_a_member_that_leaves_the_folder_is_refused(tmp_path: Path, pack: Pack, suffix: str, name: str) -> None:
    assert f"got one that leaves it: '{name}'" in refusal(pack(FILES | {name: b""}), suffix, tmp_path / "root")


@KINDS
def test_a_link_is_refused(tmp_path: Path, pack: Pack, suffix: str) -> None:
    message = refusal(pack(FILES, link="things/link"), suffix, tmp_path / "root")
    assert "got a link or a device: 'things/link'" in message


@KINDS
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_a_truncated_archive_is_refused(tmp_path: Path, pack: Pack, suffix: str, share: float) -> None:
    content = pack(FILES | {"things/noise": bytes(range(256)) * 99})
    message = refusal(content[: int(share * len(content))], suffix, tmp_path / "root")
    assert message.startswith(f"expected things.{suffix} to be a whole archive, got one that cannot be read (")


@KINDS
def test_an_archive_without_its_folder_is_refused(tmp_path: Path, pack: Pack, suffix: str) -> None:
    assert "expected a folder things" in refusal(pack({"other/1.txt": b"one"}), suffix, tmp_path / "root")


def test_a_checksum_is_compared(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert checksum(tmp_path / "file") == "900150983cd24fb0d6963f7d28e17f72"  # RFC 1321
    Archive(url="", md5=checksum(tmp_path / "file"), size=3, folder="").verify(tmp_path / "file")
    with pytest.raises(DataError, match="expected x.zip with md5 0, got 900150983cd24fb0d6963f7d28e17f72 from here/x"):
        Archive(url="here/x.zip", md5="0", size=3, folder="").verify(tmp_path / "file")


def test_what_is_no_archive_is_moved_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "labels.mat.part").write_bytes(b"labels")
    archive = Archive(url="http://here/labels.mat", md5="", size=6, folder="set")
    assert (archive.place, archive.is_present(tmp_path)) == ("set/labels.mat", False)
    archive.unpack(tmp_path / "labels.mat.part", tmp_path)
    assert archive.is_present(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "set" / "labels.mat"]
    assert (tmp_path / "set" / "labels.mat").read_bytes() == b"labels"


@pytest.mark.parametrize("name", [name for name, card in CARDS.items() if card.archives])
def test_the_published_archives_make_a_layout_that_is_found(tmp_path: Path, name: str) -> None:
    card = CARDS[name]
    assert tuple(archive.place for archive in card.archives) in card.layouts
    assert all(archive.url.startswith("https://") for archive in card.archives) or name == "svhn"
    for archive in card.archives:
        (tmp_path / archive.place).mkdir(parents=True)
    assert card.find(tmp_path)


def test_urls_and_checksums_are_those_of_torchvision() -> None:
    from tasks._compat import torchvision

    omniglot, cifar = torchvision.datasets.Omniglot, torchvision.datasets.CIFAR100
    published = {f"{omniglot.download_url_prefix}/{name}.zip": md5 for name, md5 in omniglot.zips_md5.items()}
    assert {archive.url: archive.md5 for archive in CARDS["omniglot"].archives} == published
    for name in ("cifar_fs", "fc100"):
        assert {archive.url: archive.md5 for archive in CARDS[name].archives} == {cifar.url: cifar.tgz_md5}
    cifar, emnist, svhn = torchvision.datasets.CIFAR10, torchvision.datasets.EMNIST, torchvision.datasets.SVHN
    assert {archive.url: archive.md5 for archive in CARDS["cifar10"].archives} == {cifar.url: cifar.tgz_md5}
    for name in ("emnist_balanced", "emnist_byclass"):
        assert {archive.url: archive.md5 for archive in CARDS[name].archives} == {emnist.url: emnist.md5}
    parts = {url: md5 for part, (url, _, md5) in svhn.split_list.items() if part != "extra"}
    assert {archive.url: archive.md5 for archive in CARDS["svhn"].archives} == parts
