//! Fetches from the web, and only from where a calendar may be.
//!
//! A name is looked up once, every address that comes back is judged, and the connection goes to
//! what was judged: an answer that changes a moment later changes nothing. Redirects are followed
//! here, because each is a new address that needs the same look. Numbers in place of a name never
//! reach the resolver, so they are judged before the request.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{AUTHORIZATION, HeaderMap, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, Url};

use super::CalendarSettings;
use super::address::{Reach, names_this_machine};
use super::fetch::failed;
use crate::ports::CalendarError;

const MOST_REDIRECTS: usize = 3;
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

const PRIVATE: &str = "the address leads into a private network, which is refused; if the calendar \
                       is yours, set calendar.allow_private";
const PLAIN: &str = "the address is not https; if the calendar has no other, set \
                     calendar.allow_http";
const WITH_NAME: &str =
    "the address holds a user name or password; publish the calendar under a secret address";
const NOT_LISTED: &str = "the server is not among calendar.allowed_hosts";
const ELSEWHERE: &str = "the server redirects to another one, which is not given the password or \
                         token; use the other address";
const NO_ADDRESS: &str = "the address is not a valid one";

/// What is asked of a server.
#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Finds the addresses of names.
#[async_trait]
pub trait Names: Send + Sync + 'static {
    /// # Errors
    /// If there are none, or nobody can say.
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// As this machine's system finds them.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNames;

#[async_trait]
impl Names for SystemNames {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|found| found.ip()).collect())
    }
}

/// The web, as far as calendars may come from it.
#[derive(Debug)]
pub(super) struct Guard {
    /// For addresses that name this machine outright, and for all others.
    here: Client,
    elsewhere: Client,
    reach: Reach,
    allow_http: bool,
    /// Lower case; empty for any.
    hosts: Vec<String>,
}

impl Guard {
    pub(super) fn new(settings: &CalendarSettings, names: Arc<dyn Names>) -> anyhow::Result<Self> {
        let reach = if settings.allow_private { Reach::Everywhere } else { Reach::Public };
        Ok(Self {
            here: client(settings, Arc::clone(&names), reach.or_this_machine())?,
            elsewhere: client(settings, names, reach)?,
            reach,
            allow_http: settings.allow_http,
            hosts: settings.allowed_hosts.iter().map(|host| spelt(host)).collect(),
        })
    }

    /// The last answer of a chain of redirects. One that carries a key stays with its server; one
    /// that changes something is not repeated elsewhere.
    pub(super) async fn send(
        &self,
        address: &str,
        request: &Request,
    ) -> Result<Response, CalendarError> {
        let mut url = Url::parse(address).map_err(|_| failed(NO_ADDRESS))?;
        let here = names_this_machine(address);
        let (client, reach) = if here {
            (&self.here, self.reach.or_this_machine())
        } else {
            (&self.elsewhere, self.reach)
        };
        let home = url.origin();
        for _ in 0..=MOST_REDIRECTS {
            self.vet(&url, reach)?;
            let response = client
                .request(request.method.clone(), url.clone())
                .headers(request.headers.clone())
                .body(request.body.clone())
                .send()
                .await
                .map_err(|error| failed(in_words(&error)))?;
            if !response.status().is_redirection() || request.method == Method::POST {
                return Ok(response);
            }
            let Some(next) = response.headers().get(LOCATION) else {
                return Ok(response);
            };
            url =
                next.to_str().ok().and_then(|next| url.join(next).ok()).ok_or_else(|| {
                    failed("the server redirects to something that is no address")
                })?;
            if request.headers.contains_key(AUTHORIZATION) && url.origin() != home {
                return Err(failed(ELSEWHERE));
            }
        }
        Err(failed("the server redirects in a circle"))
    }

    /// What can be said of an address before anybody is asked.
    fn vet(&self, url: &Url, reach: Reach) -> Result<(), CalendarError> {
        let host = url.host_str().ok_or_else(|| failed(NO_ADDRESS))?;
        let literal: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        // On the machine itself nobody listens in.
        let is_here = reach == Reach::ThisMachine
            && (host == "localhost" || literal.is_some_and(|ip| ip.is_loopback()));
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http || is_here => {}
            "http" => {
                // The worse reason first: https would not help.
                let private = literal.is_some_and(|ip| !reach.covers(ip));
                return Err(failed(if private { PRIVATE } else { PLAIN }));
            }
            _ => return Err(failed("the address is neither http nor https")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(failed(WITH_NAME));
        }
        if literal.is_some_and(|literal| !reach.covers(literal)) {
            return Err(failed(PRIVATE));
        }
        let host = host.trim_end_matches('.');
        let is_within = |known: &String| {
            host.strip_suffix(known.as_str())
                .is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        if self.hosts.is_empty() || self.hosts.iter().any(is_within) {
            Ok(())
        } else {
            Err(failed(NOT_LISTED))
        }
    }
}

impl Reach {
    fn or_this_machine(self) -> Self {
        if self == Self::Public { Self::ThisMachine } else { self }
    }
}

/// As addresses spell a host: lower case, foreign letters encoded.
fn spelt(host: &str) -> String {
    let url = Url::parse(&format!("https://{host}/")).ok();
    let spelt = url.as_ref().and_then(Url::host_str).unwrap_or(host);
    spelt.trim_end_matches('.').to_owned()
}

fn client(
    settings: &CalendarSettings,
    names: Arc<dyn Names>,
    reach: Reach,
) -> anyhow::Result<Client> {
    Ok(Client::builder()
        .connect_timeout(CONNECT_WITHIN.min(settings.timeout))
        .dns_resolver(Arc::new(Vetted { names, reach }))
        .redirect(Policy::none())
        // A proxy would look names up by itself, where nobody judges the answer.
        .no_proxy()
        // The address is a secret; it is not told to where a redirect leads.
        .referer(false)
        .user_agent(concat!("debrief/", env!("CARGO_PKG_VERSION")))
        .build()?)
}

/// Looks names up and lets nothing through that is out of reach.
struct Vetted {
    names: Arc<dyn Names>,
    reach: Reach,
}

impl Resolve for Vetted {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, reach) = (Arc::clone(&self.names), self.reach);
        Box::pin(async move {
            let found = names.addresses(name.as_str()).await?;
            // One among several is enough: whoever answers so is up to something.
            if !found.iter().all(|address| reach.covers(*address)) {
                return Err(OutOfReach.into());
            }
            let found = found.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(found.collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}

#[derive(Debug)]
struct OutOfReach;

impl fmt::Display for OutOfReach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name leads into a private network")
    }
}

impl std::error::Error for OutOfReach {}

fn is_out_of_reach(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if error.is::<OutOfReach>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// The library's own words carry the address, which is a secret.
pub(super) fn in_words(error: &reqwest::Error) -> &'static str {
    if is_out_of_reach(error) {
        PRIVATE
    } else if error.is_timeout() {
        SLOW
    } else if error.is_connect() {
        "the server cannot be reached"
    } else if error.is_builder() {
        NO_ADDRESS
    } else {
        "the connection broke while reading"
    }
}

pub(super) const SLOW: &str = "the server did not answer in time (calendar.timeout)";

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    #[async_trait]
    impl Names for Nobody {
        async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn guard(change: impl FnOnce(&mut CalendarSettings)) -> Guard {
        super::super::tests::install_tls();
        let mut settings =
            CalendarSettings { timeout: CONNECT_WITHIN, ..CalendarSettings::default() };
        change(&mut settings);
        Guard::new(&settings, Arc::new(Nobody)).unwrap()
    }

    fn verdict(guard: &Guard, address: &str, reach: Reach) -> Option<String> {
        let vetted = guard.vet(&Url::parse(address).unwrap(), reach);
        vetted.err().map(|error| error.reason)
    }

    #[test]
    fn s05_each_step_of_a_chain_is_judged() {
        let strict = guard(|_| ());
        for (address, reason) in [
            ("https://calendar.example/a.ics", None),
            ("https://1.1.1.1/a.ics", None),
            ("http://calendar.example/a.ics", Some(PLAIN)),
            // What a public server must not send us to, this machine above all.
            ("http://127.0.0.1/a.ics", Some(PRIVATE)),
            ("https://127.0.0.1/a.ics", Some(PRIVATE)),
            ("https://0x7f.1/a.ics", Some(PRIVATE)),
            ("https://2130706433/a.ics", Some(PRIVATE)),
            ("https://0177.0.0.01/a.ics", Some(PRIVATE)),
            ("https://127.0.0.1./a.ics", Some(PRIVATE)),
            ("https://[::1]/a.ics", Some(PRIVATE)),
            ("https://[::ffff:127.0.0.1]/a.ics", Some(PRIVATE)),
            ("https://169.254.169.254/latest/meta-data", Some(PRIVATE)),
            ("https://[64:ff9b::a9fe:a9fe]/", Some(PRIVATE)),
            ("https://me:secret@calendar.example/a.ics", Some(WITH_NAME)),
            ("https://me@calendar.example/a.ics", Some(WITH_NAME)),
            ("ftp://calendar.example/a.ics", Some("the address is neither http nor https")),
            ("file:///etc/passwd", Some(NO_ADDRESS)),
        ] {
            assert_eq!(verdict(&strict, address, Reach::Public).as_deref(), reason, "{address}");
        }
        let here = |address| verdict(&strict, address, Reach::ThisMachine);
        assert_eq!(here("http://127.0.0.1:8080/b.ics"), None);
        assert_eq!(here("http://localhost:8080/b.ics"), None);
        assert_eq!(here("http://169.254.169.254/").as_deref(), Some(PRIVATE));
        assert_eq!(here("http://calendar.example/").as_deref(), Some(PLAIN));
    }

    #[test]
    fn s05_the_list_of_hosts_covers_their_subdomains_and_nothing_else() {
        let listed = guard(|settings| {
            settings.allowed_hosts = vec!["Google.com".into(), "bücher.example".into()];
        });
        let reason = |address| verdict(&listed, address, Reach::Public);
        for fine in
            ["https://calendar.google.com/", "https://google.com./", "https://bücher.example/"]
        {
            assert_eq!(reason(fine), None, "{fine}");
        }
        for other in ["https://notgoogle.com/", "https://google.com.evil.example/"] {
            assert_eq!(reason(other).as_deref(), Some(NOT_LISTED), "{other}");
        }
    }

    #[test]
    fn s05_an_intranet_is_opened_by_its_keys() {
        let open = guard(|settings| settings.allow_private = true);
        assert_eq!(verdict(&open, "https://10.0.0.5/a.ics", Reach::Everywhere), None);
        let plain = verdict(&open, "http://10.0.0.5/a.ics", Reach::Everywhere);
        assert_eq!(plain.as_deref(), Some(PLAIN));
        let plain = guard(|settings| settings.allow_http = true);
        assert_eq!(verdict(&plain, "http://calendar.example/a.ics", Reach::Public), None);
        let private = verdict(&plain, "http://10.0.0.5/a.ics", Reach::Public);
        assert_eq!(private.as_deref(), Some(PRIVATE));
    }
}
