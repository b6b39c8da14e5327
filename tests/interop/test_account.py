"""What the SDK is promised about tokens, scopes, the account, and the errors that any route can have."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import requests
from dropbox import Dropbox, DropboxOAuth2FlowNoRedirect
from dropbox.common import PathRoot
from dropbox.exceptions import (
    ApiError,
    AuthError,
    BadInputError,
    InternalServerError,
    PathRootError,
    RateLimitError,
)

from cloudsandbox.dropbox import DropboxSandbox
from tests.doubles.person import Person

Connect = Callable[..., Dropbox]


def test_the_account_names_its_owner_and_root(client: Dropbox) -> None:
    account = client.users_get_current_account()
    assert len(account.account_id) == 40
    assert account.root_info.root_namespace_id == account.root_info.home_namespace_id == "3235641"
    assert account.account_type.is_basic()


def test_space_usage_counts_what_is_there_now(client: Dropbox, sandbox: DropboxSandbox) -> None:
    sandbox.set_switches(quota_bytes=1000)
    client.files_upload(b"x" * 100, "/f")
    client.files_copy_v2("/f", "/g")
    client.files_delete_v2("/f")
    usage = client.users_get_space_usage()
    assert (usage.used, usage.allocation.get_individual().allocated) == (100, 1000)


def test_a_wrong_token_is_invalid(connect: Connect) -> None:
    with pytest.raises(AuthError) as raised:
        connect("wrong").users_get_current_account()
    assert raised.value.error.is_invalid_access_token()


@pytest.mark.parametrize(
    ("scope", "call"),
    [
        ("account_info.read", lambda client: client.users_get_space_usage()),
        ("files.metadata.read", lambda client: client.files_list_folder("")),
        ("files.content.read", lambda client: client.files_download("/f")),
        ("files.content.write", lambda client: client.files_upload(b"", "/f")),
    ],
)
def test_a_token_without_the_scope_is_told_which_one_it_lacks(
    connect: Connect, sandbox: DropboxSandbox, scope: str, call: Callable[[Dropbox], object]
) -> None:
    scopes = {"account_info.read", "files.metadata.read", "files.content.read", "files.content.write"} - {
        scope
    }
    limited = connect(sandbox.issue_token(sorted(scopes)))
    with pytest.raises(AuthError) as raised:
        call(limited)
    assert raised.value.error.get_missing_scope().required_scope == scope


def test_an_expired_token_says_so(connect: Connect, sandbox: DropboxSandbox) -> None:
    expired = connect(sandbox.issue_token(lifetime_s=-1.0), oauth2_refresh_token=None)
    with pytest.raises(AuthError) as raised:
        expired.request_json_string("api", "users/get_space_usage", "rpc", "null", "user", None)
    assert raised.value.error.is_expired_access_token()


def test_a_refresh_token_gets_access(connect: Connect) -> None:
    client = connect(
        None, oauth2_refresh_token="sandbox-refresh", app_key="sandbox-app", app_secret="sandbox-secret"
    )
    assert client.users_get_current_account().email == "sandbox@example.com"


def test_a_refresh_without_a_secret_is_for_pkce_apps(connect: Connect) -> None:
    client = connect(None, oauth2_refresh_token="sandbox-refresh", app_key="sandbox-app")
    assert client.files_list_folder("").entries == []


def test_an_expired_token_is_refreshed_in_passing(connect: Connect, sandbox: DropboxSandbox) -> None:
    client = connect(
        sandbox.issue_token(lifetime_s=-1.0),
        oauth2_access_token_expiration=datetime.now() + timedelta(days=2),
        oauth2_refresh_token="sandbox-refresh",
        app_key="sandbox-app",
    )
    assert client.files_list_folder("").entries == []
    assert sandbox.log.counts["oauth2/token"] == 1


def test_a_refresh_may_ask_for_fewer_scopes(connect: Connect) -> None:
    client = connect(
        None, oauth2_refresh_token="sandbox-refresh", app_key="sandbox-app", scope=["files.metadata.read"]
    )
    client.files_list_folder("")
    with pytest.raises(AuthError):
        client.users_get_current_account()


def test_a_wrong_refresh_token_is_an_invalid_grant(connect: Connect) -> None:
    client = connect(None, oauth2_refresh_token="wrong", app_key="sandbox-app")
    with pytest.raises(AuthError):
        client.users_get_current_account()


def test_a_wrong_secret_is_refused(connect: Connect) -> None:
    client = connect(None, oauth2_refresh_token="sandbox-refresh", app_key="sandbox-app", app_secret="wrong")
    with pytest.raises(BadInputError):
        client.users_get_current_account()


def test_a_revoked_token_and_its_refresh_token_are_dead(connect: Connect) -> None:
    client = connect(None, oauth2_refresh_token="sandbox-refresh", app_key="sandbox-app")
    client.auth_token_revoke()
    with pytest.raises(AuthError):
        client.users_get_current_account()
    with pytest.raises(AuthError):
        client.refresh_access_token()


def test_path_roots_that_are_ours_are_accepted(client: Dropbox) -> None:
    for root in (PathRoot.home, PathRoot.root("3235641"), PathRoot.namespace_id("3235641")):
        rooted = client.with_path_root(root)
        assert rooted.files_list_folder("").entries == []


def test_a_root_that_is_not_ours_is_told_the_right_one(client: Dropbox) -> None:
    with pytest.raises(PathRootError) as raised:
        client.with_path_root(PathRoot.root("99")).files_list_folder("")
    assert raised.value.error.get_invalid_root().root_namespace_id == "3235641"


def test_a_namespace_of_others_is_no_permission(client: Dropbox) -> None:
    with pytest.raises(PathRootError) as raised:
        client.with_path_root(PathRoot.namespace_id("99")).files_list_folder("")
    assert raised.value.error.is_no_permission()


def test_a_team_token_may_act_as_a_known_member_only(connect: Connect) -> None:
    known = connect(headers={"Dropbox-API-Select-User": "dbmid:sandbox"})
    assert known.files_list_folder("").entries == []
    for name, question in (("User", "is_invalid_select_user"), ("Admin", "is_invalid_select_admin")):
        with pytest.raises(AuthError) as raised:
            connect(headers={f"Dropbox-API-Select-{name}": "dbmid:stranger"}).files_list_folder("")
        assert getattr(raised.value.error, question)()


def test_a_rate_limit_with_a_body_carries_its_reason(client: Dropbox, sandbox: DropboxSandbox) -> None:
    body = {
        "error_summary": "too_many_requests/..",
        "error": {"reason": {".tag": "too_many_requests"}, "retry_after": 300},
    }
    sandbox.set_faults([{"route": "files/*", "status": 429, "retry_after_s": 300, "body": body}])
    with pytest.raises(RateLimitError) as raised:
        client.files_list_folder("")
    assert raised.value.error.reason.is_too_many_requests()
    assert raised.value.backoff == 300


def test_a_rate_limit_without_a_body_carries_retry_after(client: Dropbox, sandbox: DropboxSandbox) -> None:
    sandbox.set_faults([{"status": 429, "retry_after_s": 7}])
    with pytest.raises(RateLimitError) as raised:
        client.files_list_folder("")
    assert raised.value.backoff == 7


def test_the_sdk_outlasts_a_short_rate_limit(connect: Connect, sandbox: DropboxSandbox) -> None:
    sandbox.set_faults([{"status": 429, "retry_after_s": 0, "count": 2}])
    patient = connect(max_retries_on_rate_limit=5)
    assert patient.files_list_folder("").entries == []
    assert sandbox.log.counts["files/list_folder"] == 3


def test_a_server_error_is_an_internal_server_error(client: Dropbox, sandbox: DropboxSandbox) -> None:
    sandbox.set_faults([{"status": 503, "count": 1}])
    with pytest.raises(InternalServerError):
        client.files_list_folder("")
    assert client.files_list_folder("").entries == []


def test_a_busy_namespace_is_a_rate_limit(client: Dropbox, sandbox: DropboxSandbox) -> None:
    sandbox.set_faults([{"route": "files/upload", "action": "busy_namespace"}])
    with pytest.raises(RateLimitError) as raised:
        client.files_upload(b"1", "/f")
    assert raised.value.error.reason.is_too_many_write_operations()


def test_a_lost_reply_hides_what_was_done(client: Dropbox, sandbox: DropboxSandbox) -> None:
    sandbox.set_faults([{"route": "files/upload", "action": "drop_after", "count": 1}])
    with pytest.raises(requests.ConnectionError):
        client.files_upload(b"1", "/f")
    assert client.files_get_metadata("/f").size == 1


def test_a_malformed_request_is_bad_input(client: Dropbox) -> None:
    with pytest.raises(BadInputError) as raised:
        client.request_json_object(
            "api", "files/list_folder", "rpc", {"path": "", "colour": "red"}, "user", None
        )
    assert "unknown field 'colour'" in raised.value.message


def test_an_unknown_function_is_bad_input(client: Dropbox) -> None:
    with pytest.raises(BadInputError) as raised:
        client.request_json_object("api", "files/paint", "rpc", None, "user", None)
    assert "Unknown API function" in raised.value.message


def test_every_error_carries_a_request_id(client: Dropbox) -> None:
    with pytest.raises(ApiError) as raised:
        client.files_get_metadata("/none")
    assert len(raised.value.request_id) == 32


def test_the_flow_for_apps_without_a_secret_ends_with_a_refresh_token(
    connect: Connect, sandbox: DropboxSandbox
) -> None:
    ca_file = str(sandbox.ca_file)
    flow = DropboxOAuth2FlowNoRedirect(
        "sandbox-app", use_pkce=True, token_access_type="offline", ca_certs=ca_file
    )
    flow.requests_session.trust_env = False  # as in `connect`
    asked = flow.start().replace("https://www.dropbox.com", sandbox.base_url)
    person = Person(ca_file=ca_file)
    granted = flow.finish(person.copies_code(asked))
    person.close()
    client = connect(None, oauth2_refresh_token=granted.refresh_token, app_key="sandbox-app")
    assert client.users_get_current_account().account_id == granted.account_id
