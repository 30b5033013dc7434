//! Access tokens: one for each person that the account acts for, kept until shortly before its end.
//!
//! Who asks for a token that is being fetched waits for that one. Google may withdraw a token at any
//! time; whoever was refused with one says so and gets another.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use tokio::time::Instant;

use super::account::{Account, Identity};
use super::refusals;
use crate::calendar::fetch::{failed, limited};
use crate::calendar::guard::{Guard, Request};
use crate::ports::{CalendarError, Clock};

/// Whose tokens are kept; beyond that, whoever was idle longest is forgotten. Google's tokens have
/// about a kilobyte, so that is some ten megabytes.
const MOST_PEOPLE: usize = 20_000;
/// Before its end a token is not used any more, since a reading takes its time.
const MARGIN: Duration = Duration::from_mins(1);
/// What is believed of a token's length of life, and what if nothing is said of it.
const LONGEST_LIFE: u64 = 24 * 3600;
const UNSAID_LIFE: u64 = 300;
/// Of the endpoint's answer.
const MOST_BYTES: u64 = 64 << 10;
const TOO_LARGE: &str = "Google's token endpoint answers at too great length; see google.token_url";
const NO_TOKEN: &str = "Google's token endpoint answers without a token; see google.token_url";

/// What the endpoint takes a signed assertion as.
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// The tokens of one account.
pub(super) struct Tokens {
    account: Account,
    url: String,
    /// Google wants to know when an assertion was made.
    clock: Arc<dyn Clock>,
    people: Mutex<HashMap<String, Person>>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not whose they are.
        f.debug_struct("Tokens").field("account", &self.account).finish_non_exhaustive()
    }
}

struct Person {
    slot: Arc<Slot>,
    used_at: Instant,
}

/// Locked while its token is fetched.
type Slot = tokio::sync::Mutex<Option<Token>>;

struct Token {
    /// `Bearer …`
    header: HeaderValue,
    until: Instant,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: Option<u64>,
}

impl Tokens {
    pub(super) fn new(account: Account, url: String, clock: Arc<dyn Clock>) -> Self {
        Self { account, url, clock, people: Mutex::default() }
    }

    pub(super) fn identity(&self) -> &Identity {
        self.account.identity()
    }

    /// What to send as `Authorization` for `person`; not what was `refused`.
    pub(super) async fn header(
        &self,
        guard: &Guard,
        person: &str,
        refused: Option<&HeaderValue>,
    ) -> Result<HeaderValue, CalendarError> {
        let slot = self.slot(person);
        let mut token = slot.lock().await;
        let is_good =
            |token: &&Token| token.until > Instant::now() && Some(&token.header) != refused;
        if let Some(kept) = token.as_ref().filter(is_good) {
            return Ok(kept.header.clone());
        }
        *token = None;
        let fresh = self.fetch(guard, person).await?;
        Ok(token.insert(fresh).header.clone())
    }

    fn slot(&self, person: &str) -> Arc<Slot> {
        let now = Instant::now();
        let mut people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = people.get_mut(person) {
            known.used_at = now;
            return Arc::clone(&known.slot);
        }
        if people.len() >= MOST_PEOPLE {
            let idle = people.iter().min_by_key(|(_, person)| person.used_at);
            if let Some(idle) = idle.map(|(name, _)| name.clone()) {
                people.remove(&idle);
            }
        }
        let slot = Arc::new(Slot::default());
        people.insert(person.to_owned(), Person { slot: Arc::clone(&slot), used_at: now });
        slot
    }

    async fn fetch(&self, guard: &Guard, person: &str) -> Result<Token, CalendarError> {
        let asked_at = Instant::now();
        let now = self.clock.now();
        let assertion = self
            .account
            .assertion(person, &self.url, now)
            .ok_or_else(|| failed("the service account's key cannot sign on this machine"))?;
        let request = request(&assertion);
        let response = guard.send(&self.url, &request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = limited(response, MOST_BYTES, TOO_LARGE, |_| Ok(())).await?;
        if !status.is_success() {
            return Err(refusals::of_token(status, &headers, &body, self.identity(), now));
        }
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| failed(NO_TOKEN))?;
        let mut header = HeaderValue::try_from(format!("Bearer {}", answer.access_token))
            .map_err(|_| failed(NO_TOKEN))?;
        header.set_sensitive(true);
        let life = answer.expires_in.unwrap_or(UNSAID_LIFE).min(LONGEST_LIFE);
        let life = Duration::from_secs(life).saturating_sub(MARGIN);
        Ok(Token { header, until: asked_at + life })
    }
}

fn request(assertion: &str) -> Request {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", GRANT).append_pair("assertion", assertion);
    let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
    Request {
        method: Method::POST,
        headers: HeaderMap::from_iter([(CONTENT_TYPE, form_type)]),
        body: form.finish().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Never;

    impl Clock for Never {
        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }
    }

    #[test]
    fn no_more_people_are_kept_than_there_is_room_for() {
        let account = super::super::account::tests::account();
        let tokens = Tokens::new(account, "https://t.example/".into(), Arc::new(Never));
        let first = tokens.slot("0");
        for person in 1..=MOST_PEOPLE {
            tokens.slot("0");
            tokens.slot(&person.to_string());
        }
        assert_eq!(tokens.people.lock().unwrap().len(), MOST_PEOPLE);
        assert!(Arc::ptr_eq(&first, &tokens.slot("0")), "whoever is busy stays");
        let shown = format!("{tokens:?}");
        assert!(shown.contains("gserviceaccount") && shown.len() < 300, "{shown}");
    }
}
