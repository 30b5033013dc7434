//! What Slack's errors mean to us.
//!
//! The crate's errors print whole response bodies, which hold what people wrote: here they become a
//! [`SendError`] with a code at most, and nothing else of them survives.

use slack_morphism::errors::SlackClientError;

use crate::ports::SendError;

/// Seconds to wait when Slack does not say, and the longest that we believe it.
const DEFAULT_WAIT: u64 = 30;
const LONGEST_WAIT: u64 = 600;

/// The connection could not be made, so nothing was sent.
const CONNECT_WAIT: u64 = 5;

/// Whether a call was refused because we call too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limited {
    No,
    Yes,
    /// Without a wait that makes sense.
    Oddly,
}

/// Whether the crate's `error` is a refusal because of our speed.
pub(super) fn limit(error: &SlackClientError) -> Limited {
    match error {
        SlackClientError::RateLimitError(error) => match error.retry_after {
            Some(wait) if (1..=LONGEST_WAIT).contains(&wait.as_secs()) => Limited::Yes,
            _ => Limited::Oddly,
        },
        SlackClientError::ApiError(error) if is_limit(&error.code) => Limited::Oddly,
        SlackClientError::HttpError(error) if error.status_code.as_u16() == 429 => Limited::Oddly,
        _ => Limited::No,
    }
}

fn is_limit(code: &str) -> bool {
    matches!(code, "ratelimited" | "rate_limited")
}

/// What to do after the crate's `error`.
pub(super) fn from_client(error: &SlackClientError) -> SendError {
    match error {
        SlackClientError::ApiError(error) => from_code(&error.code),
        SlackClientError::RateLimitError(error) => {
            limited(error.retry_after.map(|wait| wait.as_secs()))
        }
        // Slack says its own errors with 200: this was a gateway on the way, and nothing arrived.
        SlackClientError::HttpError(error)
            if error.status_code.is_client_error() && error.status_code.as_u16() != 408 =>
        {
            limited(None)
        }
        SlackClientError::HttpProtocolError(error)
            if error
                .cause
                .as_ref()
                .is_some_and(|cause| cause.to_string().contains("(Connect)")) =>
        {
            SendError::Later { after: CONNECT_WAIT }
        }
        _ => SendError::Unknown,
    }
}

/// What to do after an answer to a `response_url`: a refused one is used up or too old.
pub(super) fn from_response_url(error: &SlackClientError) -> SendError {
    match error {
        SlackClientError::HttpError(error) if error.status_code.is_client_error() => {
            SendError::Never { code: "expired_url".into() }
        }
        error => from_client(error),
    }
}

/// What to do after a 429 that asked for so many seconds.
pub(super) fn limited(wait: Option<u64>) -> SendError {
    SendError::Later { after: wait.map_or(DEFAULT_WAIT, |wait| wait.clamp(1, LONGEST_WAIT)) }
}

/// What to do after Slack said `ok: false` with this code.
pub(super) fn from_code(code: &str) -> SendError {
    let code = readable(code);
    match code.as_str() {
        code if is_limit(code) => SendError::Later { after: DEFAULT_WAIT },
        // A limit of the workspace's plan; it does not lift within minutes.
        "message_limit_exceeded" => SendError::Later { after: 3600 },
        "team_added_to_org" | "org_login_required" | "external_channel_migrating" => {
            SendError::Later { after: 900 }
        }
        "fatal_error"
        | "internal_error"
        | "service_unavailable"
        | "request_timeout"
        | "update_failed" => SendError::Unknown,
        "user_disabled"
        | "user_not_found"
        | "users_not_found"
        | "user_not_visible"
        | "cannot_dm_bot"
        | "is_bot"
        | "channel_not_found"
        | "invalid_user_combination"
        | "app_access_restricted" => SendError::Gone { code },
        "invalid_auth"
        | "not_authed"
        | "account_inactive"
        | "token_revoked"
        | "token_expired"
        | "missing_scope"
        | "no_permission"
        | "not_allowed_token_type"
        | "access_denied" => SendError::Halt { code },
        _ => SendError::Never { code },
    }
}

/// Slack refused what the message looks like, so it was not sent and may be sent in a plainer form.
pub(super) fn is_about_blocks(error: &SendError) -> bool {
    matches!(error, SendError::Never { code } if matches!(
        code.as_str(),
        "invalid_blocks" | "invalid_blocks_format" | "msg_blocks_too_long" | "invalid_arguments"
    ))
}

/// The code for logs; the class where there is none.
pub(super) fn code(error: &SendError) -> &str {
    match error {
        SendError::Later { .. } => "not_now",
        SendError::Unknown => "unknown",
        SendError::Gone { code } | SendError::Halt { code } | SendError::Never { code } => code,
    }
}

/// Slack's codes are short words; anything else might be a body and is not repeated.
fn readable(code: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !code.is_empty() && code.len() <= 60 && code.chars().all(word) {
        code.to_owned()
    } else {
        "unrecognised".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use slack_morphism::errors::{
        SlackClientApiError, SlackClientHttpError, SlackClientProtocolError,
        SlackClientSocketModeProtocolError, SlackRateLimitError,
    };

    use super::*;

    #[test]
    fn codes_fall_into_their_classes() {
        for (class, codes) in [
            (
                "Later",
                "ratelimited rate_limited message_limit_exceeded team_added_to_org \
                 org_login_required external_channel_migrating",
            ),
            (
                "Unknown",
                "fatal_error internal_error service_unavailable request_timeout update_failed",
            ),
            (
                "Gone",
                "user_disabled user_not_found users_not_found user_not_visible cannot_dm_bot is_bot \
                 channel_not_found invalid_user_combination app_access_restricted",
            ),
            (
                "Halt",
                "invalid_auth not_authed account_inactive token_revoked token_expired \
                 missing_scope not_allowed_token_type access_denied",
            ),
            (
                "Never",
                "invalid_blocks msg_too_long no_text metadata_too_large view_too_large \
                 block_mismatch messages_tab_disabled not_enabled is_archived message_not_found \
                 cant_update_message hash_conflict not_found expired_trigger_id \
                 exchanged_trigger_id push_limit_reached something_new",
            ),
        ] {
            for code in codes.split_whitespace() {
                let error = from_code(code);
                assert!(format!("{error:?}").starts_with(class), "{code}: {error:?}");
            }
        }
    }

    #[test]
    fn only_refused_blocks_are_sent_in_a_plainer_form() {
        for (code, plainer) in [
            ("invalid_blocks", true),
            ("msg_blocks_too_long", true),
            ("internal_error", false),
            ("channel_not_found", false),
            ("msg_too_long", false),
        ] {
            assert_eq!(is_about_blocks(&from_code(code)), plainer, "{code}");
        }
    }

    #[test]
    fn nothing_of_a_body_survives() {
        const SECRET: &str = "Dana wrote: it went well";
        let json = || serde_json::from_str::<u8>(SECRET).unwrap_err();
        let http = |status: u16| {
            SlackClientHttpError::new(status.try_into().unwrap())
                .with_http_response_body(SECRET.into())
        };
        let limit = SlackRateLimitError::new().with_http_response_body(SECRET.into());
        for (error, becomes) in [
            (
                SlackClientError::ApiError(
                    SlackClientApiError::new("invalid_blocks".into())
                        .with_errors(vec![SECRET.into()])
                        .with_http_response_body(SECRET.into()),
                ),
                SendError::Never { code: "invalid_blocks".into() },
            ),
            (
                SlackClientError::ProtocolError(
                    SlackClientProtocolError::new(json()).with_json_body(SECRET.into()),
                ),
                SendError::Unknown,
            ),
            (SlackClientError::HttpError(http(500)), SendError::Unknown),
            (SlackClientError::HttpError(http(408)), SendError::Unknown),
            (SlackClientError::HttpError(http(403)), SendError::Later { after: 30 }),
            (SlackClientError::RateLimitError(limit), SendError::Later { after: 30 }),
            (
                SlackClientError::SocketModeProtocolError(SlackClientSocketModeProtocolError::new(
                    SECRET.into(),
                )),
                SendError::Unknown,
            ),
        ] {
            assert!(error.to_string().contains(SECRET), "the crate's own error tells");
            let ours = from_client(&error);
            assert_eq!(ours, becomes);
            assert!(!format!("{ours} {ours:?} {}", code(&ours)).contains("Dana"));
        }
    }

    #[test]
    fn we_believe_a_wait_within_reason() {
        for (said, waited) in [(None, 30), (Some(0), 1), (Some(7), 7), (Some(9999), 600)] {
            assert_eq!(limited(said), SendError::Later { after: waited });
        }
    }

    #[test]
    fn a_body_in_place_of_a_code_is_not_repeated() {
        for code in ["", "Dana wrote: it went well", "<html>", &"x".repeat(61)] {
            assert_eq!(from_code(code), SendError::Never { code: "unrecognised".into() });
        }
    }
}
