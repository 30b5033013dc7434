//! What Microsoft's refusals mean for an administrator.
//!
//! Judged by the codes that the answers carry for programs, never by the status alone: 404 is also
//! what a wrong address gives. Of Microsoft's prose nothing is passed on; it may name people.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

use crate::calendar::fetch::{failed, retry_after};
use crate::ports::{CalendarError, Trouble};

const PATIENCE: &str = "Microsoft asks for patience";
const OWN_PROBLEM: &str = "Microsoft has a problem of its own; it is tried again";
const PERMISSION: &str = "the app may not read this calendar; give it the application permission \
                          Calendars.Read with admin consent, and if its access is limited to some \
                          mailboxes, add this one";
const POLICY: &str = "the mailbox is not among those that the app may read; add it to the app's \
                      access policy or management scope in Exchange";
const NO_MAILBOX: &str = "Microsoft 365 has no mailbox under this address; correct the roster, or \
                          give the person a licence for Exchange Online";
const NO_APP: &str = "the tenant does not know the app; correct microsoft.client_id or \
                      microsoft.tenant, or give admin consent to the app";
const NO_TENANT: &str = "Microsoft knows no such tenant; correct microsoft.tenant, and in a \
                         national cloud microsoft.login_url";
const WRONG_SECRET: &str = "the client secret is wrong; put its value, not its ID, into \
                            DEBRIEF_MICROSOFT_CLIENT_SECRET";
const OLD_SECRET: &str = "the client secret has expired; make a new one for the app (Microsoft \
                          Entra admin center, Certificates & secrets) and put its value into \
                          DEBRIEF_MICROSOFT_CLIENT_SECRET";
const NO_GRAPH: &str = "Microsoft's sign-in knows no Microsoft Graph under microsoft.graph_url; in a \
                        national cloud both addresses belong together";

/// What sign-in errors mean, by their AADSTS number.
const SIGN_IN: [(u64, &str); 13] = [
    (7_000_215, WRONG_SECRET),
    (7_000_216, WRONG_SECRET),
    (7_000_218, WRONG_SECRET),
    (7_000_222, OLD_SECRET),
    (
        7_000_112,
        "the app is switched off in the tenant; switch it on under Enterprise applications",
    ),
    (700_016, NO_APP),
    (90_002, NO_TENANT),
    (900_023, NO_TENANT),
    (900_971, NO_TENANT),
    (500_011, NO_GRAPH),
    (70_011, NO_GRAPH),
    (1_002_012, NO_GRAPH),
    (53_003, "a Conditional Access policy keeps the app from signing in from this machine"),
];

/// Codes that say that there is no such mailbox. Exchange has several for the same.
const GONE: [&str; 7] = [
    "ErrorItemNotFound",
    "ErrorInvalidUser",
    "ErrorNonExistentMailbox",
    "MailboxNotEnabledForRESTAPI",
    "MailboxNotSupportedForRESTAPI",
    "Request_ResourceNotFound",
    "ResourceNotFound",
];
const SLOWER: [&str; 4] =
    ["ApplicationThrottled", "TooManyRequests", "activityLimitReached", "ErrorServerBusy"];
const NOT_NOW: [&str; 4] = [
    "ErrorMailboxMoveInProgress",
    "ErrorMailboxStoreUnavailable",
    "ServiceNotAvailable",
    "temporarily_unavailable",
];

/// The sign-in's answer (RFC 6749, section 5.2) with Microsoft's numbers.
#[derive(Deserialize)]
struct SignInRefusal {
    error: String,
    #[serde(default)]
    error_codes: Vec<Value>,
    #[serde(default)]
    error_description: String,
}

impl SignInRefusal {
    /// The AADSTS number.
    fn number(&self) -> Option<u64> {
        let listed = self.error_codes.iter().find_map(Value::as_u64);
        listed.or_else(|| {
            let (_, rest) = self.error_description.split_once("AADSTS")?;
            rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
        })
    }
}

/// Why there is no token.
pub(super) fn of_sign_in(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> CalendarError {
    let code = status.as_u16();
    let refusal = serde_json::from_slice::<SignInRefusal>(body).ok();
    let is_busy = refusal.as_ref().is_some_and(|refusal| NOT_NOW.contains(&refusal.error.as_str()));
    if let Some(busy) = busy(code, is_busy.then_some(OWN_PROBLEM), headers) {
        return busy;
    }
    let Some(refusal) = refusal else {
        return failed(format!("{} [{code}]", stranger(code, body, "microsoft.login_url")));
    };
    let number = refusal.number();
    let meant = number.and_then(|number| {
        SIGN_IN.iter().find(|(known, _)| *known == number).map(|(_, meaning)| *meaning)
    });
    let reason = meant.unwrap_or(match refusal.error.as_str() {
        "unauthorized_client" => NO_APP,
        "invalid_client" => WRONG_SECRET,
        "invalid_scope" => NO_GRAPH,
        _ => "Microsoft's sign-in refuses the app; look the code up under AADSTS error codes",
    });
    let named = match number {
        Some(number) => format!("AADSTS{number}"),
        None => spelt(&refusal.error).to_owned(),
    };
    let reason = format!("{reason} [{code} {named}]");
    CalendarError { trouble: Trouble::Refused, ..failed(reason) }
}

/// Graph's answer, with codes within codes.
#[derive(Deserialize)]
struct Refusal {
    error: Fault,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default, rename = "innerError", alias = "innererror")]
    within: Option<Box<Fault>>,
}

impl Fault {
    /// The general one first.
    fn codes(&self) -> Vec<&str> {
        let deeper = self.within.iter().flat_map(|within| within.codes());
        self.code.as_deref().into_iter().chain(deeper).collect()
    }
}

/// Why there is no page.
pub(super) fn of_graph(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> CalendarError {
    let code = status.as_u16();
    let Ok(Refusal { error }) = serde_json::from_slice::<Refusal>(body) else {
        let reason = stranger(code, body, "microsoft.graph_url");
        return busy(code, None, headers).unwrap_or_else(|| failed(format!("{reason} [{code}]")));
    };
    let codes = error.codes();
    let is = |known: &[&str]| {
        known.iter().any(|known| codes.iter().any(|code| code.eq_ignore_ascii_case(known)))
    };
    let words = error.message.as_deref().unwrap_or_default();
    let named = codes.first().map_or("no code", |code| spelt(code));
    let meant = if is(&SLOWER) && words.contains("MailboxConcurrency") {
        Some("too many requests for one mailbox at once; does another program use the same app?")
    } else if is(&SLOWER) {
        Some(PATIENCE)
    } else {
        is(&NOT_NOW).then_some(OWN_PROBLEM)
    };
    if let Some(busy) = busy(code, meant, headers) {
        return busy;
    }
    let is_policy = words.contains("AccessPolicy") || words.contains("OData is disabled");
    let (reason, trouble) = match code {
        404 if is(&GONE) => (NO_MAILBOX, Trouble::Gone),
        _ if is(&["Authorization_IdentityNotFound"]) => (NO_APP, Trouble::Refused),
        401 => (
            "Microsoft Graph refuses the token, a fresh one too; do microsoft.login_url and \
             microsoft.graph_url belong together, and is the app switched on?",
            Trouble::Refused,
        ),
        403 if is_policy => (POLICY, Trouble::Refused),
        403 => (PERMISSION, Trouble::Refused),
        404 => (
            "Microsoft Graph does not find what we ask for; is microsoft.graph_url right?",
            Trouble::Passing,
        ),
        _ => ("Microsoft Graph refuses the request", Trouble::Passing),
    };
    CalendarError { reason: format!("{reason} [{code} {named}]"), retry_after: None, trouble }
}

/// A server that will answer later, by its status or because of what it `meant`.
fn busy(code: u16, meant: Option<&str>, headers: &HeaderMap) -> Option<CalendarError> {
    let reason = match code {
        _ if meant.is_some() => meant?,
        429 => PATIENCE,
        500.. => OWN_PROBLEM,
        _ => return None,
    };
    Some(CalendarError {
        reason: format!("{reason} [{code}]"),
        retry_after: retry_after(headers),
        trouble: Trouble::Busy,
    })
}

/// A code as far as it is one; anything else might be prose.
fn spelt(code: &str) -> &str {
    let is_code = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
    if !code.is_empty() && code.len() <= 60 && code.chars().all(is_code) { code } else { "no code" }
}

/// Who answers in place of Microsoft.
fn stranger(code: u16, body: &[u8], key: &str) -> String {
    let start = String::from_utf8_lossy(&body[..body.len().min(256)]).to_lowercase();
    let what = if (300..400).contains(&code) {
        "a redirect to somewhere else"
    } else if body.trim_ascii().is_empty() {
        "an empty answer"
    } else if start.contains("<html") || start.contains("<!doctype") {
        "a web page"
    } else {
        "something else"
    };
    format!("{what} instead of Microsoft's answer; is something in between, or {key} wrong?")
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderValue, RETRY_AFTER};

    use super::*;

    fn headers() -> HeaderMap {
        HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("17"))])
    }

    fn sign_in(code: u16, body: &str) -> CalendarError {
        of_sign_in(StatusCode::from_u16(code).unwrap(), &headers(), body.as_bytes())
    }

    fn graph(code: u16, body: &str) -> CalendarError {
        of_graph(StatusCode::from_u16(code).unwrap(), &headers(), body.as_bytes())
    }

    #[test]
    fn a_sign_in_error_is_told_by_its_number() {
        for (code, error, number, start) in [
            (401, "invalid_client", 7_000_215, "the client secret is wrong"),
            (401, "invalid_client", 7_000_222, "the client secret has expired"),
            (400, "invalid_request", 90_002, "Microsoft knows no such tenant"),
            (400, "unauthorized_client", 700_016, "the tenant does not know the app"),
            (401, "unauthorized_client", 7_000_112, "the app is switched off"),
            (400, "invalid_resource", 500_011, "Microsoft's sign-in knows no Microsoft Graph"),
            (400, "invalid_grant", 53_003, "a Conditional Access policy"),
            (400, "invalid_request", 4_711, "Microsoft's sign-in refuses the app; look"),
        ] {
            let words = format!("AADSTS{number}: It is about maya@own.example.\\r\\nTrace ID: 1");
            let numbered = format!(
                r#"{{"error":"{error}","error_description":"{words}","error_codes":[{number}],
                    "timestamp":"2026-03-10 10:00:00Z","trace_id":"1","correlation_id":"2"}}"#
            );
            let worded = format!(r#"{{"error":"{error}","error_description":"{words}"}}"#);
            for body in [numbered, worded] {
                let told = sign_in(code, &body);
                assert!(told.reason.starts_with(start), "{}", told.reason);
                assert!(told.reason.ends_with(&format!("[{code} AADSTS{number}]")), "{told}");
                assert!(!told.reason.contains("maya"), "{told}");
                assert_eq!((told.retry_after, told.trouble), (None, Trouble::Refused));
            }
        }
    }

    #[test]
    fn a_sign_in_error_without_a_number_is_told_by_its_word() {
        for (error, reason) in [
            ("unauthorized_client", format!("{NO_APP} [400 unauthorized_client]")),
            ("invalid_client", format!("{WRONG_SECRET} [400 invalid_client]")),
            (
                "about maya@own.example",
                "Microsoft's sign-in refuses the app; look the code up under AADSTS error codes \
                 [400 no code]"
                    .into(),
            ),
        ] {
            assert_eq!(sign_in(400, &format!(r#"{{"error":"{error}"}}"#)).reason, reason);
        }
        let later = sign_in(400, r#"{"error":"temporarily_unavailable"}"#);
        assert_eq!((later.reason, later.retry_after), (format!("{OWN_PROBLEM} [400]"), Some(17)));
        let page = sign_in(200 + 102, "");
        assert!(page.reason.starts_with("a redirect to somewhere else"), "{page}");
    }

    fn odata(code: &str, message: &str) -> String {
        format!(
            r#"{{"error":{{"code":"{code}","message":"{message}","innerError":
                {{"request-id":"1","date":"2026-03-10T10:00:00"}}}}}}"#
        )
    }

    #[test]
    fn a_refusal_is_judged_by_its_code_not_by_its_status() {
        let policy = "Access to OData is disabled: [RAOP] : Blocked by tenant configured AppOnly \
                      AccessPolicy settings.";
        let mailbox = "Application is over its MailboxConcurrency limit.";
        for (status, code, message, reason, after, trouble) in [
            (401, "InvalidAuthenticationToken", "", "refuses the token", None, Trouble::Refused),
            (401, "Authorization_IdentityNotFound", "", NO_APP, None, Trouble::Refused),
            (403, "ErrorAccessDenied", "Access is denied.", PERMISSION, None, Trouble::Refused),
            (403, "ErrorAccessDenied", policy, POLICY, None, Trouble::Refused),
            (403, "Authorization_RequestDenied", "", PERMISSION, None, Trouble::Refused),
            (404, "ErrorItemNotFound", "", NO_MAILBOX, None, Trouble::Gone),
            (404, "MailboxNotEnabledForRESTAPI", "", NO_MAILBOX, None, Trouble::Gone),
            (404, "Request_ResourceNotFound", "", NO_MAILBOX, None, Trouble::Gone),
            (404, "ErrorInvalidUser", "maya@own.example", NO_MAILBOX, None, Trouble::Gone),
            (404, "UnknownError", "", "does not find what we ask", None, Trouble::Passing),
            (410, "SyncStateNotFound", "", "refuses the request", None, Trouble::Passing),
            (429, "ApplicationThrottled", mailbox, "for one mailbox", Some(17), Trouble::Busy),
            (429, "TooManyRequests", "", PATIENCE, Some(17), Trouble::Busy),
            (503, "serviceNotAvailable", "", OWN_PROBLEM, Some(17), Trouble::Busy),
            (504, "UnknownError", "", OWN_PROBLEM, Some(17), Trouble::Busy),
            (404, "ErrorMailboxMoveInProgress", "", OWN_PROBLEM, Some(17), Trouble::Busy),
            (400, "about maya@own.example", "", "request [400 no code]", None, Trouble::Passing),
        ] {
            let told = graph(status, &odata(code, message));
            assert!(told.reason.contains(reason), "{status} {code}: {told}");
            assert_eq!((told.retry_after, told.trouble), (after, trouble), "{status} {code}");
            assert!(!told.reason.contains("maya"), "{told}");
        }
    }

    #[test]
    fn a_code_within_a_code_counts() {
        let body = r#"{"error":{"code":"UnknownError","message":"","innerError":
            {"code":"MailboxNotEnabledForRESTAPI"}}}"#;
        assert_eq!(graph(404, body).trouble, Trouble::Gone);
    }

    #[test]
    fn a_page_from_somewhere_in_between_is_not_microsoft_s_word() {
        for (code, body, start) in [
            (404, "<!DOCTYPE html><title>404</title>", "a web page instead of"),
            (410, "", "an empty answer"),
            (403, "blocked by policy", "something else"),
            (404, r#"{"message":"no route"}"#, "something else"),
            (502, "<html>bad gateway</html>", OWN_PROBLEM),
        ] {
            let told = graph(code, body);
            assert!(told.reason.starts_with(start), "{told}");
            assert_ne!(told.trouble, Trouble::Gone);
        }
    }
}
