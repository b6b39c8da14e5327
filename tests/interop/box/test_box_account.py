"""Tokens, errors, rates and retries, driven by the official SDK."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from box_sdk_gen import (
    AccessToken,
    BoxAPIError,
    BoxCCGAuth,
    BoxClient,
    BoxDeveloperTokenAuth,
    BoxOAuth,
    BoxSDKError,
    CCGConfig,
    NetworkSession,
    OAuthConfig,
)

from cloudsandbox.box import BoxSandbox

Connect = Callable[..., BoxClient]


@pytest.fixture
def oauth() -> BoxOAuth:
    """An authentication that holds a dead access token and the first refresh token."""
    auth = BoxOAuth(OAuthConfig(client_id="sandbox-client", client_secret="sandbox-secret"))
    auth.token_storage.store(AccessToken(access_token="stale", refresh_token="sandbox-refresh"))
    return auth


def test_the_user_has_a_quota_and_a_largest_file(client: BoxClient, upload: Any, box: BoxSandbox) -> None:
    box.set_switches(quota_bytes=1000, max_upload_bytes=250)
    upload("f", b"1234")
    me = client.users.get_user_me()
    assert (me.space_amount, me.space_used, me.max_upload_size) == (1000, 4, 250)
    assert (me.id, me.login, me.status) == ("11446498", "sandbox@example.com", "active")


def test_only_the_fields_asked_for_come(client: BoxClient) -> None:
    me = client.users.get_user_me(fields=["space_used"])
    assert (me.id, me.space_used, me.login) == ("11446498", 0, None)


def test_a_service_account_acts_as_a_user(client: BoxClient) -> None:
    assert client.with_as_user_header("4711").users.get_user_me().id == "4711"


def test_an_unknown_token_is_unauthorized_and_says_so_in_a_header(connect: Connect, box: BoxSandbox) -> None:
    stranger = connect(BoxDeveloperTokenAuth(token="stranger"))
    with pytest.raises(BoxSDKError, match="expired"):
        stranger.users.get_user_me()
    (exchange,) = box.exchanges()
    assert (exchange.status, exchange.reply_body) == (401, None)
    assert 'error="invalid_token"' in exchange.reply_headers["www-authenticate"]


def test_an_expired_token_is_refreshed_and_the_call_repeated(
    connect: Connect, oauth: BoxOAuth, box: BoxSandbox
) -> None:
    assert connect(oauth).users.get_user_me().id == "11446498"
    assert box.log.counts == {"users/me": 2, "oauth2/token": 1}


def test_a_refresh_gives_a_new_refresh_token(oauth: BoxOAuth, network: NetworkSession) -> None:
    token = oauth.refresh_token(network_session=network)
    assert token.refresh_token not in (None, "sandbox-refresh")
    assert (token.expires_in, token.token_type) == (3600, "bearer")
    again = oauth.refresh_token(network_session=network)
    assert again.refresh_token != token.refresh_token


def test_a_refresh_token_is_good_once(oauth: BoxOAuth, network: NetworkSession) -> None:
    oauth.refresh_token(network_session=network)
    oauth.token_storage.store(AccessToken(access_token="x", refresh_token="sandbox-refresh"))
    with pytest.raises(BoxAPIError) as caught:
        oauth.refresh_token(network_session=network)
    assert caught.value.response_info.status_code == 400
    assert caught.value.response_info.body["error"] == "invalid_grant"


def test_a_wrong_secret_is_an_invalid_client(network: NetworkSession) -> None:
    auth = BoxOAuth(OAuthConfig(client_id="sandbox-client", client_secret="wrong"))
    auth.token_storage.store(AccessToken(access_token="x", refresh_token="sandbox-refresh"))
    with pytest.raises(BoxAPIError) as caught:
        auth.refresh_token(network_session=network)
    assert caught.value.response_info.body["error"] == "invalid_client"


def test_a_code_is_good_once(network: NetworkSession) -> None:
    auth = BoxOAuth(OAuthConfig(client_id="sandbox-client", client_secret="sandbox-secret"))
    assert auth.get_tokens_authorization_code_grant("sandbox-code", network_session=network).refresh_token
    with pytest.raises(BoxAPIError):
        auth.get_tokens_authorization_code_grant("sandbox-code", network_session=network)


@pytest.mark.parametrize("subject", [{"enterprise_id": "sandbox"}, {"user_id": "11446498"}])
def test_client_credentials_give_an_access_token_only(
    connect: Connect, network: NetworkSession, subject: dict[str, str]
) -> None:
    auth = BoxCCGAuth(CCGConfig("sandbox-client", "sandbox-secret", **subject))
    token = auth.refresh_token(network_session=network)
    assert token.refresh_token is None
    assert connect(auth).users.get_user_me().id == "11446498"


def test_client_credentials_of_a_stranger_are_refused(network: NetworkSession) -> None:
    auth = BoxCCGAuth(CCGConfig("sandbox-client", "sandbox-secret", enterprise_id="other"))
    with pytest.raises(BoxAPIError) as caught:
        auth.refresh_token(network_session=network)
    assert caught.value.response_info.body["error"] == "invalid_grant"


def test_a_revoked_token_is_dead(connect: Connect, network: NetworkSession, refused: Any) -> None:
    auth = BoxCCGAuth(CCGConfig("sandbox-client", "sandbox-secret", enterprise_id="sandbox"))
    token = auth.refresh_token(network_session=network).access_token
    auth.revoke_token(network_session=network)
    with pytest.raises(BoxSDKError):
        connect(BoxDeveloperTokenAuth(token=token)).users.get_user_me()


def test_an_access_token_dies_at_its_time(connect: Connect, box: BoxSandbox) -> None:
    with pytest.raises(BoxSDKError):
        connect(BoxDeveloperTokenAuth(token=box.issue_token(lifetime_s=0))).users.get_user_me()
    assert connect(BoxDeveloperTokenAuth(token=box.issue_token(lifetime_s=60))).users.get_user_me()


def test_a_token_told_to_be_expired_is_refreshed(connect: Connect, oauth: BoxOAuth, box: BoxSandbox) -> None:
    connect(oauth).users.get_user_me()
    box.set_faults([{"route": "users/me", "action": "expired_token", "count": 1}])
    assert connect(oauth).users.get_user_me()
    assert box.log.counts["oauth2/token"] == 2


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_trouble_is_passed_over(client: BoxClient, box: BoxSandbox, status: int) -> None:
    box.set_faults([{"route": "users/me", "status": status, "count": 2, "retry_after_s": 0}])
    assert client.users.get_user_me()
    assert [record.status for record in box.log.records()] == [status, status, 200]


def test_a_lasting_trouble_is_an_error(client: BoxClient, box: BoxSandbox, refused: Any) -> None:
    box.set_faults([{"route": "users/me", "status": 500}])
    assert refused(client.users.get_user_me).status_code == 500
    assert box.log.counts["users/me"] == 5


def test_a_connection_lost_before_the_call_is_tried_again(client: BoxClient, box: BoxSandbox) -> None:
    box.set_faults([{"route": "users/me", "action": "drop_before", "count": 1}])
    assert client.users.get_user_me()


def test_a_folder_made_by_a_call_whose_reply_was_lost_is_found_by_the_retry(
    make_folder: Any, refused: Any, box: BoxSandbox
) -> None:
    box.set_faults([{"route": "folders/create", "action": "drop_after", "count": 1}])
    answer = refused(make_folder, "d")
    assert answer.code == "item_name_in_use"
    assert answer.context_info["conflicts"][0]["id"] == box.tree()["/d"]["id"]


def test_a_locked_tree_is_a_passing_conflict(make_folder: Any, refused: Any, box: BoxSandbox) -> None:
    box.set_faults([{"route": "folders/create", "action": "busy_namespace", "count": 1}])
    answer = refused(make_folder, "d")
    assert (answer.status_code, answer.code) == (409, "operation_blocked_temporary")


def test_more_uploads_than_the_rate_wait_as_told(upload: Any, client: BoxClient, box: BoxSandbox) -> None:
    box.set_switches(uploads_per_minute=120, rate_window_s=1.0)
    started_s = time.monotonic()
    for number in range(4):
        upload(f"f{number}")
    assert time.monotonic() - started_s >= 0.9
    refusals = [record for record in box.log.records("files/upload") if record.status == 429]
    assert refusals
    limited = [each for each in box.exchanges() if each.status == 429]
    assert all(each.reply_headers["retry-after"] == "1" for each in limited)
    assert limited[0].reply_body["code"] == "rate_limit_exceeded"


def test_other_calls_do_not_use_up_the_rate_of_uploads(client: BoxClient, box: BoxSandbox) -> None:
    box.set_switches(uploads_per_minute=60, rate_window_s=1.0)
    for _ in range(5):
        client.users.get_user_me()
    assert {record.status for record in box.log.records()} == {200}


def test_all_calls_use_up_the_rate_of_calls(client: BoxClient, box: BoxSandbox) -> None:
    box.set_switches(calls_per_minute=60, rate_window_s=1.0)
    client.users.get_user_me()
    client.users.get_user_me()
    assert [record.status for record in box.log.records()] == [200, 429, 200]


def test_an_error_has_a_request_id_and_a_help_url(client: BoxClient, refused: Any) -> None:
    answer = refused(client.files.get_file_by_id, "123456789")
    assert (answer.status_code, answer.code) == (404, "not_found")
    assert answer.request_id
    assert answer.help_url.startswith("http")
    assert answer.headers["box-request-id"]


def test_state_outlives_the_server(
    client: BoxClient, upload: Any, oauth: BoxOAuth, box: BoxSandbox, network: NetworkSession
) -> None:
    file = upload("f", b"kept")
    token = oauth.refresh_token(network_session=network)
    port = int(box.base_url.rpartition(":")[2])
    assert token.refresh_token
    box.stop()
    with BoxSandbox(box._data, port=port, token="sandbox") as again:
        assert again.read("/f") == b"kept"
        assert client.files.get_file_by_id(file.id).etag == "0"
        oauth.token_storage.store(token)
        assert oauth.refresh_token(network_session=network).refresh_token != token.refresh_token
    box.start()
