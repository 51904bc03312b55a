"""Downloads: HTTP that continues where it was cut. No other module of this package opens a connection."""

from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPResponse
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tasks.errors import DataError

_PATIENCE = 30  # seconds without a byte
_CHUNK = 1 << 16  # bytes


def download(url: str, file: BinaryIO, show: Callable[[int], None]) -> None:
    """Adds to `file` what it lacks of the content of `url`; a server that cannot continue makes it start over.

    Args:
        url: http or https.
        file: opened for appending; may hold the beginning of the content.
        show: is told how many bytes `file` has, each time that some were added; what it raises ends the download.

    Raises:
        DataError: when the server does not answer or the connection ends early; `file` keeps what has come.
    """
    with _answer(url, file.tell()) as response:
        if response.headers.get("Content-Range", "").split("-")[0] != f"bytes {file.tell()}":
            file.seek(0)
            file.truncate()
        end = file.tell() + response.length if response.length is not None else None
        for chunk in _chunks(url, response):
            file.write(chunk)
            show(file.tell())
    if end is not None and file.tell() < end:
        raise DataError(f"expected {end:,} bytes of {url}, got {file.tell():,}; fetch again to continue")


def _answer(url: str, offset: int) -> HTTPResponse:
    """What the server says when asked for the content from byte `offset` on."""
    headers = {"User-Agent": "metanas"} | ({"Range": f"bytes={offset}-"} if offset else {})
    try:
        answer: HTTPResponse = urlopen(Request(url, headers=headers), timeout=_PATIENCE)
    except HTTPError as error:
        error.close()
        if offset and error.code == 416:  # nothing follows: what is here is not its beginning
            return _answer(url, 0)
        raise _silence(url, f"HTTP {error.code} {error.reason}") from error
    except (OSError, HTTPException) as error:
        raise _silence(url, _reason(error)) from error
    return answer


def _chunks(url: str, response: HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read(_CHUNK)
        except (OSError, HTTPException) as error:
            raise DataError(f"expected more of {url}, got {_reason(error)}; fetch again to continue") from error
        if not chunk:
            return
        yield chunk


def _silence(url: str, got: str) -> DataError:
    return DataError(f"expected an answer from {url}, got {got}; check the network, or download it by other means")


def _reason(error: OSError | HTTPException) -> str:
    cause = error.reason if isinstance(error, URLError) else error
    return (cause.strerror if isinstance(cause, OSError) else None) or str(cause) or type(cause).__name__
