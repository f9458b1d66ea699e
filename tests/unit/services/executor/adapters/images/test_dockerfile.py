"""Dockerfiles: those whose result the image digest covers, and the others."""

import pytest

from services.executor.adapters.images.dockerfile import check_dockerfile
from theory.core.errors import NotReady

PIN = "@sha256:" + "a" * 64


@pytest.mark.parametrize(
    "text",
    [
        'ARG BASE=theory-base:bookworm\nFROM ${BASE}\nCOPY site /opt/site\nCMD ["python3"]\n',
        "# a comment\n\nfrom $BASE as build\nRUN make\nFROM scratch\nCOPY --from=build /a /b\nCOPY --from=0 /a /b\n",
        "FROM ${BASE} AS a\nFROM scratch\nFROM 1\n",
        f"FROM --platform=linux/amd64 debian:12{PIN} AS tools\nFROM tools\nADD a.tar /\n",
        "FROM ${BASE}\nRUN curl https://example.org && \\\n    git clone git@example.org:a.git\n",
        'FROM ${BASE}\nCOPY --chown=1:1 ["a b", "/c"]\n',
        "ARG BASE\nFROM \\\n  ${BASE}\n",
    ],
)
def test_what_the_digest_covers_may_be_built(text: str) -> None:
    check_dockerfile("a@1", text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "FROM debian:12\n",
        "FROM ${BASE}\nFROM ${OTHER}\n",
        "FROM\n",
        "FROM ${BASE} AS a\nFROM 1\n",
        "FROM \\\n debian\n",
        "FROM debian@sha256:abc\n",
        "FROM ${BASE}\nCOPY --from=debian:12 /a /b\n",
        "FROM ${BASE}\nCOPY --from=later /a /b\nFROM scratch AS later\n",
        "FROM ${BASE}\nADD https://example.org/a /a\n",
        'FROM ${BASE}\nADD ["https://example.org/a", "/a"]\n',
        "FROM ${BASE}\nADD git@example.org:a.git /a\n",
        "FROM ${BASE}\nadd --chown=1:1 //example.org/a /a\n",
        "# syntax=docker/dockerfile:1\nFROM ${BASE}\n",
        "#escape=`\nFROM ${BASE}\n",
    ],
)
def test_what_it_does_not_cover_is_refused(text: str) -> None:
    with pytest.raises(NotReady) as caught:
        check_dockerfile("a@1", text.encode())
    assert caught.value.reason == "IMAGE_UNAVAILABLE"


def test_a_context_needs_a_dockerfile() -> None:
    with pytest.raises(NotReady):
        check_dockerfile("a@1", None)
