//! Addresses as the roster and servers write them.
//!
//! A password goes where the roster says and nowhere else: a server may name another host only for
//! where calendars are, over https, and within its own domain (as iCloud does). The entries of a
//! calendar are known by their paths alone, whatever host stands before them.

use reqwest::Url;

use crate::calendar::fetch::failed;
use crate::ports::CalendarError;

const NO_ADDRESS: &str = "the address is not a valid one";
const WITH_PASSWORD: &str = "the address holds a password; a roster is no place for it: set \
                             DEBRIEF_CALDAV_PASSWORD or DEBRIEF_CALDAV_PASSWORDS_FILE";
const ELSEWHERE: &str = "the server says that the calendars are on another server, which is not \
                         given the password; name that one in the roster";

/// The address without the user name in it, and that name.
pub(super) fn login(address: &str) -> Result<(Url, Option<String>), CalendarError> {
    let mut url = Url::parse(address).map_err(|_| failed(NO_ADDRESS))?;
    if url.password().is_some() {
        return Err(failed(WITH_PASSWORD));
    }
    let user = Some(decoded(url.username())).filter(|user| !user.is_empty());
    url.set_username("").map_err(|()| failed(NO_ADDRESS))?;
    url.set_fragment(None);
    Ok((url, user))
}

/// Where a server says that something is.
pub(super) fn place(base: &Url, href: &str) -> Result<Url, CalendarError> {
    let mut url = base.join(href).map_err(|_| failed(NO_ADDRESS))?;
    let (Some(here), Some(there)) = (base.host_str(), url.host_str()) else {
        return Err(failed(NO_ADDRESS));
    };
    if here == there {
        // Behind a proxy, servers know neither their scheme nor their port.
        let mut same = base.clone();
        same.set_path(url.path());
        same.set_query(None);
        return Ok(same);
    }
    let is_plain_https = |url: &Url| url.scheme() == "https" && url.port().is_none();
    if !is_plain_https(base) || !is_plain_https(&url) || !is_sibling(here, there) {
        return Err(failed(ELSEWHERE));
    }
    let _ = (url.set_username(""), url.set_password(None));
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

/// Whether `there` is in the domain that `here` is directly in: `caldav.icloud.com` and
/// `p42-caldav.icloud.com`. A domain that many share, such as `co.uk`, is nobody's own.
fn is_sibling(here: &str, there: &str) -> bool {
    let Some((_, domain)) = here.split_once('.') else {
        return false;
    };
    let labels: Vec<&str> = domain.split('.').collect();
    let is_own = match labels.as_slice() {
        [.., second, last] if labels.len() == 2 => last.len() > 2 || second.len() > 3,
        _ => labels.len() > 2,
    };
    let is_name = domain.chars().any(|c| c.is_ascii_alphabetic());
    is_own && is_name && there.strip_suffix(domain).is_some_and(|before| before.ends_with('.'))
}

/// The path of an entry in its one spelling, which it may be asked for by; `None` if it has none.
pub(super) fn path(base: &Url, href: &str) -> Option<String> {
    let url = base.join(href).ok()?;
    // Two slashes would be read as a host the next time.
    (url.has_host() && !url.path().starts_with("//")).then(|| normal(url.path()))
}

/// Of the spellings of a path the one with the fewest escapes.
fn normal(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let code = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) => {
                out.push(char::from(byte));
                rest = &after[2..];
            }
            Some(_) => {
                out.push('%');
                out.push_str(&after[..2].to_ascii_uppercase());
                rest = &after[2..];
            }
            None => {
                out.push('%');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.extend_from_slice(before.as_bytes());
        if let Some(byte) = after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(byte);
            rest = &after[2..];
        } else {
            out.push(b'%');
            rest = after;
        }
    }
    out.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn the_user_of_an_address_is_taken_out_of_it_and_a_password_is_refused() {
        let (address, user) = login("https://maya%40corp.example@dav.example/p/?x#y").unwrap();
        assert_eq!(address.as_str(), "https://dav.example/p/?x");
        assert_eq!(user.as_deref(), Some("maya@corp.example"));
        assert_eq!(login("https://dav.example/").unwrap().1, None);
        let refused = login("https://maya:hunter2@dav.example/").unwrap_err();
        assert_eq!(refused.reason, WITH_PASSWORD);
    }

    #[test]
    fn s05_the_password_stays_with_its_server_or_its_domain() {
        let base = url("https://caldav.icloud.com/");
        let found = |href: &str| place(&base, href).ok().map(|url| url.to_string());
        let fine = |href: &str| found(href).unwrap();
        assert_eq!(fine("/1/p/"), "https://caldav.icloud.com/1/p/");
        assert_eq!(fine("http://caldav.icloud.com:80/1/"), "https://caldav.icloud.com/1/");
        assert_eq!(
            fine("https://me@p4-caldav.icloud.com:443/1/"),
            "https://p4-caldav.icloud.com/1/"
        );
        for other in [
            "https://evil.example/1/",
            "https://icloud.com.evil.example/",
            "https://evilicloud.com/",
            "http://p4-caldav.icloud.com/",
            "https://p4-caldav.icloud.com:8443/",
            "//evil.example/",
            "https://127.0.0.1/",
            "http://127.0.0.1:9/",
            "file:///etc/passwd",
        ] {
            assert_eq!(found(other), None, "{other}");
        }
        let other = |base: &str, href: &str| place(&url(base), href).is_ok();
        assert!(!other("https://dav.co.uk/", "https://evil.co.uk/"));
        assert!(other("https://dav.corp.co.uk/", "https://p1.corp.co.uk/"));
        assert!(other("https://dav.yandex.ru/", "https://p1.yandex.ru/"));
        assert!(!other("https://corp.example/", "https://other.example/"));
        assert!(!other("https://10.0.0.1/", "https://10.1.0.1/"));
        assert!(!other("http://127.0.0.1:80/", "http://localhost:80/"));
    }

    #[test]
    fn one_entry_has_one_path_however_it_is_written() {
        let base = url("https://dav.example/cal/maya/");
        for same in [
            "/cal/maya/a@b c.ics",
            "/cal/maya/a%40b%20c.ics",
            "a%40b c.ics",
            "http://10.0.0.7:8080/cal/maya/a@b%20c.ics",
        ] {
            assert_eq!(path(&base, same).as_deref(), Some("/cal/maya/a@b%20c.ics"), "{same}");
        }
        assert_eq!(path(&base, "/cal/%2f%zz%").as_deref(), Some("/cal/%2F%zz%"));
        assert_eq!(path(&base, "mailto:a@b.example"), None);
    }
}
