//! What Google's refusals mean for an administrator.
//!
//! Judged by the words that Google's answers carry for programs (`error`, `reason`), never by the
//! status alone: 403 is both "slower" and "you may not". None of Google's prose is passed on; it may
//! name people.

use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap};
use serde::Deserialize;

use super::SCOPE;
use super::account::Identity;
use crate::calendar::fetch::{failed, retry_after};
use crate::ports::{CalendarError, Trouble};

/// What is said of a clock that is further off than this is true.
const SKEW: SignedDuration = SignedDuration::from_mins(2);

/// The token endpoint's answer (RFC 6749, section 5.2).
#[derive(Deserialize)]
struct TokenRefusal {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// Why there is no token. `now` is when we asked.
pub(in crate::calendar) fn of_token(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    account: &Identity,
    now: Timestamp,
) -> CalendarError {
    let code = status.as_u16();
    if let Some(busy) = busy(status, headers) {
        return busy;
    }
    let Ok(refusal) = serde_json::from_slice::<TokenRefusal>(body) else {
        return failed(format!("{} [{code}]", stranger(body, "google.token_url")));
    };
    let words = refusal.error_description.to_lowercase();
    let says = |word: &str| words.contains(word);
    let id = &account.client_id;
    let reason = match refusal.error.as_str() {
        "unauthorized_client" | "access_denied" => format!(
            "the service account may not act for people yet: in the Google Admin console, under \
             Security, API controls, Domain-wide delegation, allow client ID {id} the scope {SCOPE}; \
             it may take a day until it counts"
        ),
        "invalid_grant" if says("short-lived") || says("timeframe") || says("iat") => {
            clock(headers, now)
        }
        "invalid_grant" if says("signature") || says("verifier") || says("no key") => {
            "Google does not know this key any more; make a new one on the service account's page \
             and put it into google.key_file"
                .into()
        }
        "invalid_grant" if says("account not found") => {
            "the service account was deleted; make another one and put its key into google.key_file"
                .into()
        }
        "invalid_grant" if says("account has been") => {
            "the person's account or the service account was deleted or suspended; see the Google \
             Admin console"
                .into()
        }
        // Old wordings too: "Not a valid email", "Invalid impersonation … field".
        "invalid_grant" | "invalid_request" if says("email") || says("impersonation") => {
            let reason = "Google knows nobody by this address; correct the roster, which takes the \
                          person's first address in Google Workspace";
            return gone(reason, code, &refusal.error);
        }
        "invalid_grant" if says("audience") => {
            "the token endpoint takes itself for another one; correct google.token_url".into()
        }
        "invalid_client" | "disabled_client" | "deleted_client" | "org_internal" => {
            "the service account is unknown, deleted or disabled; look at it in the Google Cloud \
             console, or put another one's key into google.key_file"
                .into()
        }
        "invalid_scope" => format!("Google does not know the scope {SCOPE}; please report this"),
        "admin_policy_enforced" => {
            "a policy of your Google Workspace forbids it; see API controls in the Admin console"
                .into()
        }
        _ => "Google gives no token for this person".into(),
    };
    let reason = format!("{reason} [{code} {}]", plain(&refusal.error));
    CalendarError { trouble: Trouble::Refused, ..failed(reason) }
}

/// How far this machine's clock is off, if the answer tells.
pub(super) fn clock(headers: &HeaderMap, now: Timestamp) -> String {
    let theirs = headers
        .get(DATE)
        .and_then(|date| date.to_str().ok())
        .and_then(|date| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok());
    let off = theirs.map(|theirs| now.duration_since(theirs)).filter(|off| off.abs() > SKEW);
    let off = off.map_or(String::new(), |off| {
        let side = if off.is_negative() { "behind" } else { "ahead of" };
        format!(" (it is {} minutes {side} Google's)", off.abs().as_mins())
    });
    format!("this machine's clock is wrong{off}; set it by NTP")
}

/// The calendar's answer: an old form and a new one, often both at once.
#[derive(Deserialize)]
struct ApiRefusal {
    error: ApiError,
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    errors: Vec<Named>,
    #[serde(default)]
    details: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    reason: String,
}

/// Why a calendar could not be read.
pub(in crate::calendar) fn of_calendar(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    account: &Identity,
) -> CalendarError {
    let code = status.as_u16();
    let refusal = serde_json::from_slice::<ApiRefusal>(body).ok();
    let reasons: Vec<&str> = refusal
        .iter()
        .flat_map(|refusal| refusal.error.errors.iter().chain(&refusal.error.details))
        .map(|named| named.reason.as_str())
        .filter(|reason| !reason.is_empty())
        .collect();
    let any = |known: &[&str]| reasons.iter().any(|reason| known.contains(reason));
    if any(&[
        "rateLimitExceeded",
        "userRateLimitExceeded",
        "RATE_LIMIT_EXCEEDED",
        "quotaExceeded",
        "dailyLimitExceeded",
        "variableTermLimitExceeded",
    ]) {
        let reason = format!("Google asks for patience: its quota is used up [{code}]");
        return too_busy(reason, headers);
    }
    if let Some(busy) = busy(status, headers) {
        return busy;
    }
    if refusal.is_none() {
        // A page from somewhere in between is not Google's word.
        return failed(format!("{} [{code}]", stranger(body, "google.api_url")));
    }
    let project = &account.project;
    let named = reasons.first().copied().unwrap_or_default();
    let reason = match code {
        _ if any(&["accessNotConfigured", "SERVICE_DISABLED"]) => format!(
            "the Google Calendar API is not enabled in the project {project}; enable it in the \
             Google Cloud console under APIs & Services"
        ),
        _ if any(&["insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"]) => format!(
            "the service account's scope is not enough; allow client ID {} the scope {SCOPE} in the \
             Google Admin console",
            &account.client_id
        ),
        _ if any(&["notACalendarUser"]) => {
            let reason = "Google Calendar is not switched on for this person, or the person is \
                          suspended; see the Google Admin console";
            return gone(reason, code, named);
        }
        _ if any(&["fullSyncRequired", "updatedMinTooLongAgo"]) => {
            "Google wants the calendar read as a whole; that is done next time".into()
        }
        404 | 410 => return gone("Google knows no such calendar", code, named),
        400 => "Google does not understand the request; please report this".into(),
        401 => "Google refuses the token it has just given; see google.api_url, or whether the \
                service account was disabled"
            .into(),
        403 => "Google refuses: this person may not see the calendar".into(),
        300..=399 => "Google redirects without a place to go; see google.api_url".into(),
        _ => "Google refuses the request".to_owned(),
    };
    let reason = format!("{reason} [{code} {}]", plain(named));
    let trouble = if matches!(code, 401 | 403) { Trouble::Refused } else { Trouble::Passing };
    CalendarError { trouble, ..failed(reason) }
}

/// What passes by itself.
fn busy(status: StatusCode, headers: &HeaderMap) -> Option<CalendarError> {
    let code = status.as_u16();
    let reason = match code {
        429 => "Google asks for patience",
        500.. => "Google has a problem of its own; it is tried again",
        _ => return None,
    };
    Some(too_busy(format!("{reason} [{code}]"), headers))
}

fn too_busy(reason: String, headers: &HeaderMap) -> CalendarError {
    CalendarError { reason, retry_after: retry_after(headers), trouble: Trouble::Busy }
}

fn gone(reason: &str, code: u16, named: &str) -> CalendarError {
    let reason = format!("{reason} [{code} {}]", plain(named));
    CalendarError { trouble: Trouble::Gone, ..failed(reason) }
}

/// What came in place of Google's JSON.
pub(super) fn stranger(body: &[u8], key: &str) -> String {
    let start: Vec<u8> =
        body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).take(64).collect();
    let start = String::from_utf8_lossy(&start).to_lowercase();
    let what = if start.is_empty() {
        "an empty answer instead of Google's"
    } else if start.contains("<html") || start.contains("<!doctype") {
        "a web page instead of Google's answer"
    } else if start.starts_with('{') {
        "an answer that Google does not give, or half of one"
    } else {
        "something else instead of Google's answer"
    };
    format!("{what}; is something in between, or {key} wrong?")
}

/// One of the words for programs, as far as it is one.
fn plain(word: &str) -> &str {
    let sound = word.len() <= 40 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if sound && !word.is_empty() { word } else { "no reason given" }
}
