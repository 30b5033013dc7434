//! One calendar brought up to date.
//!
//! Where the server calls its state what it was called last time, nothing is asked. Otherwise it is
//! asked for changes (`sync-collection`), and where it does not know such a thing for what is in a
//! generous range of time. What is absent is never taken for deleted unless the server says so, or
//! lists everything without it. A token that was lost in any of the ways that servers have means a
//! list of everything; a part of an answer is never taken for the whole.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use reqwest::Url;

use super::discovery::Offer;
use super::href::path;
use super::multistatus::{Answer, CUT_SHORT, Response};
use super::server::{Depth, Refusal, SPACES, Server, escaped};
use super::state::{Kept, Reduced, reduced};
use crate::calendar::fetch::failed;
use crate::ports::CalendarError;

/// How many entries are asked for in one question.
const AT_ONCE: usize = 60;
/// A server that hands out changes page by page must come to an end.
const MOST_PAGES: usize = 200;
/// Of one calendar, over ones included.
const MOST_ENTRIES: usize = 50_000;
/// How far ahead of the window a query reaches; much further than a list of everything is old.
const AHEAD: SignedDuration = SignedDuration::from_hours(35 * 24);

const MANY: &str = "too many entries; remove past events";
const ENDLESS: &str = "the server hands out changes without end";
const IN_PART: &str = "the server lists only a part of the calendar; remove past events";
pub(super) const TOO_MUCH: &str = "the calendars hold more than calendar.max_bytes; remove past \
                                   events, or name one calendar";

/// What a reading of calendars goes by.
pub(super) struct Sync<'s> {
    pub(super) server: &'s Server<'s>,
    /// What ended before is left out.
    pub(super) horizon: Timestamp,
    /// The end of the window.
    pub(super) until: Timestamp,
    /// Everything is listed, whatever is said of changes.
    pub(super) listing_is_due: bool,
    /// Of all texts together.
    pub(super) most: u64,
    /// How much of it other calendars take.
    pub(super) taken: u64,
}

/// What a server tells of changes, or of everything.
#[derive(Default)]
struct News {
    /// What is there, by path: its version, and its text if that came along.
    there: BTreeMap<String, (String, Option<String>)>,
    gone: Vec<String>,
    token: Option<String>,
}

impl Sync<'_> {
    /// Brings `calendar` up to date with what the server offers.
    pub(super) async fn refresh(
        &mut self,
        calendar: &mut Kept,
        offer: &Offer,
    ) -> Result<(), CalendarError> {
        calendar.is_free = offer.is_free;
        let is_unchanged = calendar.mark.is_some() && calendar.mark == offer.mark;
        if !(is_unchanged && calendar.is_listed) || self.listing_is_due {
            // Until everything is told, nothing is known to be as it was.
            calendar.mark = None;
            let is_whole = self.update(calendar, offer).await.map_err(Refusal::told)?;
            if is_whole {
                calendar.mark.clone_from(&offer.mark);
            } else {
                calendar.token = None;
            }
        }
        Ok(())
    }

    /// Says whether everything was handed out.
    async fn update(&mut self, calendar: &mut Kept, offer: &Offer) -> Result<bool, Refusal> {
        let url = &offer.url;
        if calendar.is_listed && !self.listing_is_due {
            if let Some(token) = calendar.token.clone() {
                let news = self.changes(url, &token).await?;
                // It says that it changed, and then that nothing did: one of the two is wrong.
                let is_sound = |news: &News| {
                    news.token.as_ref() != Some(&token)
                        || !news.there.is_empty()
                        || !news.gone.is_empty()
                };
                if let Some(news) = news.filter(is_sound) {
                    return self.take_changes(calendar, url, news).await;
                }
            } else if !offer.syncs
                && let Some(is_whole) = self.query(calendar, url).await?
            {
                return Ok(is_whole);
            }
        }
        self.list(calendar, offer).await
    }

    /// Changes since `token`, of everything if it is empty; `None` if it is lost or makes no sense.
    async fn changes(&self, url: &Url, token: &str) -> Result<Option<News>, Refusal> {
        let with_text = if token.is_empty() { "" } else { "<C:calendar-data/>" };
        let mut news = News { token: Some(token.to_owned()), ..News::default() };
        for _ in 0..MOST_PAGES {
            let token = news.token.take().unwrap_or_default();
            let body = format!(
                "<D:sync-collection {SPACES}><D:sync-token>{}</D:sync-token>\
                 <D:sync-level>1</D:sync-level><D:prop><D:getetag/>{with_text}</D:prop>\
                 </D:sync-collection>",
                escaped(&token)
            );
            let answer = match self.server.report(url, Depth::Itself, &body).await {
                Ok(answer) => answer,
                Err(refusal) if refusal.is_about_the_question() => return Ok(None),
                Err(refusal) => return Err(refusal),
            };
            let is_cut_short = answer.is_cut_short();
            let next = answer.token.clone();
            news.add(url, answer)?;
            if next.is_none() || (is_cut_short && next.as_ref() == Some(&token)) {
                return Ok(None);
            }
            news.token = next;
            if !is_cut_short {
                return Ok(Some(news));
            }
        }
        Err(failed(ENDLESS).into())
    }

    async fn take_changes(
        &mut self,
        calendar: &mut Kept,
        url: &Url,
        news: News,
    ) -> Result<bool, Refusal> {
        for path in &news.gone {
            calendar.entries.remove(path);
        }
        let is_whole = self.take(calendar, url, news.there).await?;
        calendar.token = news.token;
        Ok(is_whole)
    }

    /// Lists everything: by the server's own means for changes, else by asking for all events, else
    /// by looking at what is there.
    async fn list(&mut self, calendar: &mut Kept, offer: &Offer) -> Result<bool, Refusal> {
        let url = &offer.url;
        let synced = if offer.syncs { self.changes(url, "").await? } else { None };
        let news = match synced {
            Some(news) => news,
            None => self.everything(url).await?,
        };
        let listed = news.there.iter().map(|(path, (etag, _))| (path.clone(), etag.clone()));
        calendar.keep_only(&listed.collect());
        let is_whole = self.take(calendar, url, news.there).await?;
        calendar.token = news.token;
        calendar.is_listed = true;
        Ok(is_whole)
    }

    async fn everything(&self, url: &Url) -> Result<News, Refusal> {
        let query = query("", "");
        match self.server.report(url, Depth::Children, &query).await {
            Ok(answer) if !answer.is_cut_short() => return Ok(News::of(url, answer)?),
            Ok(_) => {}
            Err(refusal) if refusal.is_about_the_question() => {}
            Err(refusal) => return Err(refusal),
        }
        let names = "<D:getetag/><D:resourcetype/>";
        let (_, answer) = self.server.properties(url, Depth::Children, names).await?;
        if answer.is_cut_short() {
            return Err(failed(IN_PART).into());
        }
        Ok(News::of(url, answer)?)
    }

    /// Asks for what is in a range of time. What is known and not among it is asked for by name,
    /// since servers miss endless series. `None` if only a list of everything helps.
    async fn query(&mut self, calendar: &mut Kept, url: &Url) -> Result<Option<bool>, Refusal> {
        let end = self.until.saturating_add(AHEAD).unwrap_or(Timestamp::MAX);
        let ics = |at: Timestamp| at.strftime("%Y%m%dT%H%M%SZ").to_string();
        let range = format!(
            "<C:time-range start=\"{}\" end=\"{}\"/>",
            ics(self.horizon.max(Timestamp::UNIX_EPOCH)),
            ics(end)
        );
        let answer = match self.server.report(url, Depth::Children, &query(&range, "")).await {
            Ok(answer) if !answer.is_cut_short() => answer,
            Ok(_) => return Ok(None),
            Err(refusal) if refusal.is_about_the_question() => return Ok(None),
            Err(refusal) => return Err(refusal),
        };
        let news = News::of(url, answer)?;
        let absent: Vec<String> = calendar
            .entries
            .keys()
            .filter(|path| !news.there.contains_key(*path))
            .cloned()
            .collect();
        for some in absent.chunks(AT_ONCE) {
            let answer = self.multiget(url, some, "").await?;
            let told = News::of(url, answer)?;
            for path in some {
                if told.gone.contains(path) {
                    calendar.entries.remove(path);
                } else if !told.there.contains_key(path) {
                    return Ok(None);
                }
            }
        }
        self.take(calendar, url, news.there).await.map(Some)
    }

    /// Takes what is there in its new versions, asking for the texts that did not come along. Says
    /// whether all were handed out.
    async fn take(
        &mut self,
        calendar: &mut Kept,
        url: &Url,
        there: BTreeMap<String, (String, Option<String>)>,
    ) -> Result<bool, Refusal> {
        let mut wanted = Vec::new();
        let mut came = Vec::new();
        for (path, (etag, text)) in there {
            match text {
                _ if calendar.knows(&path, &etag) => {}
                Some(text) => came.push((path, etag, text)),
                None => wanted.push((path, etag)),
            }
        }
        self.put(calendar, came).await?;
        let mut is_whole = true;
        for some in wanted.chunks(AT_ONCE) {
            let paths: Vec<String> = some.iter().map(|(path, _)| path.clone()).collect();
            let answer = self.multiget(url, &paths, "<C:calendar-data/>").await?;
            is_whole &= self.take_texts(calendar, url, some, answer).await?;
        }
        Ok(is_whole)
    }

    /// `wanted` with the versions that were listed, for servers that tell them only there.
    async fn take_texts(
        &mut self,
        calendar: &mut Kept,
        url: &Url,
        wanted: &[(String, String)],
        answer: Answer,
    ) -> Result<bool, Refusal> {
        let mut came = Vec::new();
        let mut answered = 0;
        for response in answer.responses {
            let path = path(url, &response.href);
            let Some((path, listed)) = wanted.iter().find(|(one, _)| Some(one) == path.as_ref())
            else {
                continue;
            };
            let Response { status, props, .. } = response;
            let etag = props.etag.unwrap_or_else(|| listed.clone());
            match (status, props.data) {
                (Some(404 | 410), _) => {
                    calendar.entries.remove(path);
                }
                // What may not be read, or is broken there, is not asked for until it changes.
                (Some(401 | 403 | 415), _) | (None, None) => {
                    calendar.put(path.clone(), etag, Reduced::Kept(String::new()));
                }
                (None | Some(200..300), Some(text)) => came.push((path.clone(), etag, text)),
                _ => continue,
            }
            answered += 1;
        }
        self.put(calendar, came).await?;
        Ok(answered == wanted.len())
    }

    /// Reads texts, which takes its time, and keeps what is needed of them.
    async fn put(
        &mut self,
        calendar: &mut Kept,
        came: Vec<(String, String, String)>,
    ) -> Result<(), CalendarError> {
        if came.is_empty() {
            return Ok(());
        }
        let horizon = self.horizon;
        let reading = tokio::task::spawn_blocking(move || {
            let read = |(path, etag, text): (String, String, String)| {
                let reduced = reduced(&text, horizon);
                (path, etag, reduced)
            };
            came.into_iter().map(read).collect::<Vec<_>>()
        });
        let read = reading.await.map_err(|_| failed("the calendar could not be worked out"))?;
        for (path, etag, reduced) in read {
            calendar.put(path, etag, reduced);
        }
        if self.taken.saturating_add(calendar.size()) > self.most {
            return Err(failed(TOO_MUCH));
        }
        Ok(())
    }

    async fn multiget(&self, url: &Url, paths: &[String], more: &str) -> Result<Answer, Refusal> {
        let mut hrefs = String::new();
        for path in paths {
            hrefs.push_str("<D:href>");
            hrefs.push_str(&escaped(path));
            hrefs.push_str("</D:href>");
        }
        let body = format!(
            "<C:calendar-multiget {SPACES}><D:prop><D:getetag/>{more}</D:prop>{hrefs}\
             </C:calendar-multiget>"
        );
        self.server.report(url, Depth::Children, &body).await
    }
}

/// Asks for the events of a calendar, within a range or all of them.
fn query(range: &str, more: &str) -> String {
    format!(
        "<C:calendar-query {SPACES}><D:prop><D:getetag/>{more}</D:prop><C:filter>\
         <C:comp-filter name=\"VCALENDAR\"><C:comp-filter name=\"VEVENT\">{range}</C:comp-filter>\
         </C:comp-filter></C:filter></C:calendar-query>"
    )
}

impl News {
    fn of(url: &Url, answer: Answer) -> Result<Self, CalendarError> {
        let mut news = Self::default();
        news.add(url, answer)?;
        Ok(news)
    }

    fn add(&mut self, url: &Url, answer: Answer) -> Result<(), CalendarError> {
        let itself = url.path().trim_end_matches('/').to_owned();
        for response in answer.responses {
            let Some(path) = path(url, &response.href) else { continue };
            // Some servers list the calendar among its entries, or what is below it.
            let is_entry = path.trim_end_matches('/') != itself
                && !path.ends_with('/')
                && !response.props.is_collection;
            if !is_entry || response.status == Some(CUT_SHORT) {
                continue;
            }
            let Response { status, props, .. } = response;
            if matches!(status, Some(404 | 410)) {
                self.there.remove(&path);
                self.gone.push(path);
            } else {
                self.there.insert(path, (props.etag.unwrap_or_default(), props.data));
            }
            if self.there.len() > MOST_ENTRIES {
                return Err(failed(MANY));
            }
        }
        Ok(())
    }
}
