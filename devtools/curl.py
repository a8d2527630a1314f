"""A small replacement for curl, for machines without it. It has the options that the two tours use:
-s, -X, -H, -d, -D -, -o and an address.
"""

from __future__ import annotations

import argparse
import sys
import urllib.error
import urllib.request
from pathlib import Path


def main() -> None:
    """Send one request, and write the response as curl does."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-s", action="store_true")
    parser.add_argument("-X", dest="method")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="body")
    parser.add_argument("-D", dest="head", choices=["-"])
    parser.add_argument("-o", dest="output", type=Path)
    parser.add_argument("url")
    given = parser.parse_args()
    headers = {
        name: value.strip()
        for name, _, value in (header.partition(":") for header in given.headers)
    }
    body = None if given.body is None else given.body.encode()
    request = urllib.request.Request(given.url, body, headers, method=given.method)
    try:
        answer = urllib.request.urlopen(request)
    except urllib.error.HTTPError as refusal:
        answer = refusal
    with answer:
        if given.head:
            print("".join(f"{name}: {value}\r\n" for name, value in answer.headers.items()))
        content = answer.read()
    if given.output:
        given.output.write_bytes(content)
    else:
        sys.stdout.buffer.write(content)


if __name__ == "__main__":
    main()
