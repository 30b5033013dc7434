//! Google's refusals, and what an administrator is told.

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};

use crate::calendar::google::account::Identity;
use crate::calendar::google::refusals::{clock, of_calendar, of_token};
use crate::ports::{CalendarError, Trouble};

fn account() -> Identity {
    Identity {
        email: "debrief@p.iam.gserviceaccount.com".into(),
        client_id: "1234".into(),
        project: "sales-tools".into(),
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_773_150_000).unwrap()
}

fn token(code: u16, error: &str, words: &str) -> CalendarError {
    let body = format!(r#"{{"error":"{error}","error_description":"{words}"}}"#);
    let status = StatusCode::from_u16(code).unwrap();
    of_token(status, &HeaderMap::new(), body.as_bytes(), &account(), now())
}

/// Status, error and words of the token endpoint, then what is told of it.
type Case = (u16, &'static str, &'static str, &'static str, Trouble);

const NO_TOKEN: [Case; 10] = [
    (
        401,
        "unauthorized_client",
        "Client is unauthorized to retrieve access tokens using this method, or client not \
         authorized for any of the scopes requested.",
        "allow client ID 1234 the scope https://www.googleapis.com/auth/calendar.events.readonly",
        Trouble::Passing,
    ),
    (
        403,
        "access_denied",
        "Requested client not authorized.",
        "Domain-wide delegation",
        Trouble::Passing,
    ),
    (
        400,
        "invalid_grant",
        "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable \
         timeframe. Check your iat and exp values in the JWT claim.",
        "this machine's clock is wrong; set it by NTP [400 invalid_grant]",
        Trouble::Passing,
    ),
    (400, "invalid_grant", "Invalid JWT Signature.", "make a new one", Trouble::Passing),
    (
        400,
        "invalid_grant",
        "Invalid grant: account not found",
        "the service account was deleted",
        Trouble::Passing,
    ),
    (400, "invalid_grant", "Invalid email or User ID", "correct the roster", Trouble::Gone),
    (
        400,
        "invalid_request",
        "Invalid impersonation &quot;sub&quot; field: maya@own.example",
        "correct the roster",
        Trouble::Gone,
    ),
    (
        400,
        "invalid_grant",
        "Invalid JWT: Failed audience check.",
        "correct google.token_url",
        Trouble::Passing,
    ),
    (
        401,
        "invalid_client",
        "The OAuth client was not found.",
        "unknown, deleted or disabled",
        Trouble::Passing,
    ),
    (400, "surprise maya@own.example", "", "[400 no reason given]", Trouble::Passing),
];

#[test]
fn each_way_to_get_no_token_has_its_remedy() {
    for (code, error, words, remedy, trouble) in NO_TOKEN {
        let told = token(code, error, words);
        assert!(told.reason.contains(remedy), "{}", told.reason);
        assert_eq!(told.trouble, trouble, "{words}");
        assert!(!told.reason.contains("maya"), "{}", told.reason);
    }
}

#[test]
fn a_wrong_clock_is_measured_by_the_answer() {
    let date = HeaderValue::from_static("Tue, 10 Mar 2026 12:30:00 GMT");
    let headers = HeaderMap::from_iter([(DATE, date)]);
    // It is 13:40 here.
    assert_eq!(
        clock(&headers, now()),
        "this machine's clock is wrong (it is 70 minutes ahead of Google's); set it by NTP"
    );
}

fn calendar(code: u16, reasons: &[&str]) -> CalendarError {
    let named: Vec<String> = reasons
        .iter()
        .map(|reason| {
            format!(r#"{{"domain":"global","reason":"{reason}","message":"maya@own.example"}}"#)
        })
        .collect();
    let body = format!(
        r#"{{"error":{{"errors":[{}],"code":{code},"message":"about maya@own.example"}}}}"#,
        named.join(",")
    );
    let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("17"))]);
    of_calendar(StatusCode::from_u16(code).unwrap(), &headers, body.as_bytes(), &account())
}

#[test]
fn a_refusal_is_judged_by_its_reason_not_by_its_number() {
    let patience = "Google asks for patience";
    for (code, reasons, start, after, trouble) in [
        (403, &["rateLimitExceeded"][..], patience, Some(17), Trouble::Passing),
        (403, &["userRateLimitExceeded"], patience, Some(17), Trouble::Passing),
        (403, &["quotaExceeded"], patience, Some(17), Trouble::Passing),
        (429, &["rateLimitExceeded"], patience, Some(17), Trouble::Passing),
        (429, &[], patience, Some(17), Trouble::Passing),
        (503, &["backendError"], "Google has a problem of its own", Some(17), Trouble::Passing),
        (
            403,
            &["accessNotConfigured"],
            "the Google Calendar API is not enabled in the project sales-tools",
            None,
            Trouble::Passing,
        ),
        (403, &["forbidden"], "Google refuses: this person may not", None, Trouble::Passing),
        (
            403,
            &["insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"],
            "the service account's scope is not enough; allow client ID 1234",
            None,
            Trouble::Passing,
        ),
        (403, &["notACalendarUser"], "Google Calendar is not switched on", None, Trouble::Gone),
        (404, &["notFound"], "Google knows no such calendar", None, Trouble::Gone),
        (410, &["deleted"], "Google knows no such calendar", None, Trouble::Gone),
        (410, &["fullSyncRequired"], "Google wants the calendar read", None, Trouble::Passing),
        (400, &["badRequest"], "Google does not understand", None, Trouble::Passing),
        (401, &["authError"], "Google refuses the token", None, Trouble::Passing),
    ] {
        let told = calendar(code, reasons);
        assert!(told.reason.starts_with(start), "{code} {reasons:?}: {}", told.reason);
        assert_eq!((told.retry_after, told.trouble), (after, trouble), "{code} {reasons:?}");
        assert!(!told.reason.contains("maya"), "{}", told.reason);
    }
}

#[test]
fn a_page_from_somewhere_in_between_is_not_google_s_word() {
    let read = |code: u16, body: &str| {
        let status = StatusCode::from_u16(code).unwrap();
        of_calendar(status, &HeaderMap::new(), body.as_bytes(), &account())
    };
    for (code, body, start) in [
        (404, "<!DOCTYPE html><title>404</title>", "a web page instead of Google's answer"),
        (410, "", "an empty answer"),
        (403, "blocked by policy", "something else"),
        (404, r#"{"message":"no route"}"#, "an answer that Google does not give"),
    ] {
        let told = read(code, body);
        assert!(told.reason.starts_with(start), "{}", told.reason);
        assert_eq!(told.trouble, Trouble::Passing);
    }
}

#[test]
fn new_services_name_the_reason_in_details() {
    let body = br#"{"error":{"code":403,"status":"PERMISSION_DENIED","details":[
        {"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"SERVICE_DISABLED"}]}}"#;
    let told = of_calendar(StatusCode::FORBIDDEN, &HeaderMap::new(), body, &account());
    assert!(told.reason.contains("is not enabled in the project"), "{}", told.reason);
}
