"""The answer of an authorization page, at the address on this machine or pasted."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests

from daemon.cli.guides import GUIDES
from daemon.failure import Failure
from daemon.signin.answer import Stray, code_in, code_pasted
from daemon.signin.proof import Proof
from daemon.signin.redirect import DONE, PORT, Redirect, address_of
from mountfs.backends.dropbox.oauth import SCOPES

STATE = "our-state"
PATIENCE_S = 60.0


@pytest.fixture
def redirect() -> Iterator[Redirect]:
    with Redirect(0, STATE) as listening:
        yield listening


def visit(redirect: Redirect, path: str = "", **told: str) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        query = f"?{urlencode(told)}" if told else ""
        return session.get(f"{redirect.address}{path}{query}", timeout=PATIENCE_S)


def test_the_code_is_taken_and_the_browser_told_so(redirect: Redirect) -> None:
    page = visit(redirect, code="c0de", state=STATE)
    assert (page.status_code, DONE in page.text) == (200, True)
    assert redirect.code(PATIENCE_S) == "c0de"


def test_what_is_no_answer_ends_nothing(redirect: Redirect) -> None:
    for told in ({"code": "evil", "state": "other"}, {"code": "evil"}, {"error": "x", "state": "other"}, {}):
        assert visit(redirect, **told).status_code == 400
    assert visit(redirect, "favicon.ico").status_code == 404
    visit(redirect, code="c0de", state=STATE)
    assert redirect.code(PATIENCE_S) == "c0de"


def test_a_connection_that_says_nothing_holds_up_nobody(redirect: Redirect) -> None:
    port = int(redirect.address.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)):
        assert visit(redirect, code="c0de", state=STATE).status_code == 200


def test_a_refusal_is_shown_before_it_ends_the_command(redirect: Redirect) -> None:
    """The process ends with its answer: a page that had not left by then would never be seen."""
    told = {"error": "access_denied", "error_description": "<b>no</b>", "state": STATE}
    with ThreadPoolExecutor(1) as other:
        page = other.submit(visit, redirect, **told)
        with pytest.raises(Failure, match="did not let mountfs use the account: <b>no</b>"):
            redirect.code(PATIENCE_S)
    assert "&lt;b&gt;no&lt;/b&gt;" in page.result().text


def test_nobody_is_waited_for_for_ever(redirect: Redirect) -> None:
    with pytest.raises(Failure, match="the browser did not come back within 0 minutes"):
        redirect.code(0.0)


def test_only_this_machine_is_listened_to(redirect: Redirect) -> None:
    with pytest.raises(Failure, match="cannot be listened to: Address already in use"):
        Redirect(int(redirect.address.rstrip("/").rpartition(":")[2]), STATE)


@pytest.mark.parametrize(
    "pasted",
    [
        " c0de\n",
        f"http://localhost:53697/?code=c0de&state={STATE}",
        f"localhost:53697/?state={STATE}&code=c0de",
        f"https://www.dropbox.com/x?code=c0de&state={STATE}#y",
    ],
)
def test_a_code_is_pasted_with_or_without_its_address(pasted: str) -> None:
    assert code_pasted(pasted, STATE) == "c0de"


@pytest.mark.parametrize(
    ("pasted", "told"),
    [
        ("", "there is no code in it"),
        ("c0 de", "that is no code"),
        ("c\u00f6de", "that is no code"),
        ("x" * 5000, "that is no code"),
        (f"http://localhost/?state={STATE}", "there is no code in it"),
        ("http://localhost/?code=c0de&state=\u00f6", "its state is not ours"),
        (f"http://localhost/?error=access_denied&state={STATE}", "the account: access_denied"),
    ],
)
def test_what_is_pasted_wrongly_is_told(pasted: str, told: str) -> None:
    with pytest.raises(Failure, match=told):
        code_pasted(pasted, STATE)


def test_an_answer_to_another_question_is_a_stray() -> None:
    with pytest.raises(Stray):
        code_in("code=c0de&state=", STATE)


def test_each_sign_in_has_a_proof_of_its_own_that_is_not_shown() -> None:
    """RFC 7636, appendix B has the challenge of this verifier."""
    known = Proof(verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert known.challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    one, other = Proof(), Proof()
    assert one.verifier != other.verifier
    assert one.state != other.state
    assert 43 <= len(one.verifier) <= 128
    assert one.verifier not in repr(one)


def test_what_is_to_be_clicked_is_what_the_program_asks_for() -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    dropbox = GUIDES["dropbox"].format(redirect=address_of(PORT))
    box = GUIDES["box"].format(redirect=address_of(PORT))
    for text, needed in ((dropbox, SCOPES), (readme, SCOPES), (box, ("--client-credentials",))):
        assert not [each for each in (*needed, address_of(PORT)) if each not in text]
