//! The service account: its key file, and what it signs.
//!
//! No error and no `Debug` shows what is in the file, the names that Google shows everywhere apart.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::{anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::SCOPE;

/// Google's own token endpoints, old ones included: what key files name.
const OWN_TOKEN_URLS: [&str; 4] = [
    "https://oauth2.googleapis.com/token",
    "https://accounts.google.com/o/oauth2/token",
    "https://www.googleapis.com/oauth2/v4/token",
    "https://www.googleapis.com/oauth2/v3/token",
];
/// A key file has about 2,400 bytes.
const MOST_BYTES: u64 = 64 << 10;
/// How long an assertion may be used; Google allows an hour at most.
const ASSERTION_SECONDS: i64 = 3600;

const ANEW: &str = "make a new key of type JSON on the service account's page under Keys";

/// What Google shows of a service account everywhere: no secrets.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// `…@….iam.gserviceaccount.com`
    pub email: String,
    /// What the administrator enters, with the scope, to let the account act for people.
    pub client_id: String,
    /// In which the API must be enabled.
    pub project: String,
}

/// Whom Google knows us as.
pub struct Account {
    identity: Identity,
    key_id: Option<String>,
    key: RsaKeyPair,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// The file, and what else people take for it.
#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "type")]
    kind: Option<String>,
    client_email: Option<String>,
    client_id: Option<String>,
    project_id: Option<String>,
    private_key_id: Option<String>,
    private_key: Option<String>,
    token_uri: Option<String>,
    /// These two are in the file of an OAuth client.
    installed: Option<IgnoredAny>,
    web: Option<IgnoredAny>,
}

impl Account {
    /// Reads a key file for use with `token_url`.
    ///
    /// # Errors
    /// One line that names the file, what is wrong with it and what to do.
    pub fn read(path: &Path, token_url: &str) -> anyhow::Result<Self> {
        let shown = path.display();
        let mut text = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut text))
            .map_err(|error| {
                let why = match error.kind() {
                    ErrorKind::NotFound => "not found".to_owned(),
                    kind => format!("cannot be read: {kind}"),
                };
                anyhow!("{shown}: {why}; put the service account's key there, a JSON file")
            })?;
        Self::parse(&text, token_url).map_err(|error| anyhow!("{shown}: {error}"))
    }

    fn parse(text: &[u8], token_url: &str) -> anyhow::Result<Self> {
        if text.len() as u64 > MOST_BYTES {
            bail!("too large for a service account's key; {ANEW}");
        }
        // What the parser says may quote the file.
        let Ok(file) = serde_json::from_slice::<KeyFile>(text) else {
            bail!("not a service account's key, which is JSON (P12 is not read); {ANEW}");
        };
        if file.installed.is_some() || file.web.is_some() {
            bail!("the file of an OAuth client, not a service account's key; {ANEW}");
        }
        match file.kind.as_deref() {
            Some("service_account") => {}
            Some("authorized_user") => bail!("somebody's own log-in, no service account; {ANEW}"),
            _ => bail!("not a service account's key (its type is another one); {ANEW}"),
        }
        if let Some(named) = &file.token_uri {
            let is_own = OWN_TOKEN_URLS.contains(&named.as_str());
            // Whoever can change the file must not choose where we send what it signs.
            if !is_own && OWN_TOKEN_URLS.contains(&token_url) {
                bail!("its token_uri is not Google's; if that is meant, set google.token_url");
            }
        }
        let missing = |name| move || anyhow!("not whole, {name} is missing; {ANEW}");
        let private_key = file.private_key.ok_or_else(missing("private_key"))?;
        Ok(Self {
            identity: Identity {
                email: file.client_email.ok_or_else(missing("client_email"))?,
                client_id: file.client_id.ok_or_else(missing("client_id"))?,
                project: file.project_id.unwrap_or_default(),
            },
            key_id: file.private_key_id,
            key: key_pair(&private_key)
                .ok_or_else(|| anyhow!("its private_key cannot be used; {ANEW}"))?,
        })
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// A signed request to act for `person`, for the endpoint `audience` (RFC 7523). `None` only if
    /// the system has no randomness.
    pub(super) fn assertion(&self, person: &str, audience: &str, now: Timestamp) -> Option<String> {
        let mut header = serde_json::json!({ "alg": "RS256", "typ": "JWT" });
        if let Some(key_id) = &self.key_id {
            header["kid"] = key_id.as_str().into();
        }
        let claims = serde_json::json!({
            "iss": self.identity.email,
            "sub": person,
            "scope": SCOPE,
            "aud": audience,
            "iat": now.as_second(),
            "exp": now.as_second() + ASSERTION_SECONDS,
        });
        let encoded = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let mut token = format!("{}.{}", encoded(&header), encoded(&claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        let random = SystemRandom::new();
        self.key.sign(&RSA_PKCS1_SHA256, &random, token.as_bytes(), &mut signature).ok()?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Some(token)
    }
}

/// From PEM, in either of its two wrappings.
fn key_pair(pem: &str) -> Option<RsaKeyPair> {
    match PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok()? {
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).ok(),
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()).ok(),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const KEY: &str = include_str!("../../../tests/it/calendars/google/key.json");
    const GOOGLE: &str = OWN_TOKEN_URLS[0];

    /// The account of the tests; its key opens nothing.
    pub(in crate::calendar::google) fn account() -> Account {
        Account::parse(KEY.as_bytes(), GOOGLE).unwrap()
    }

    fn changed(change: impl FnOnce(&mut serde_json::Value)) -> String {
        let mut key: serde_json::Value = serde_json::from_str(KEY).unwrap();
        change(&mut key);
        key.to_string()
    }

    fn refused(text: &str) -> String {
        let error = Account::parse(text.as_bytes(), GOOGLE).unwrap_err().to_string();
        assert!(!error.contains('\n') && !error.contains("PRIVATE KEY"), "{error}");
        error
    }

    #[test]
    fn what_is_no_key_of_a_service_account_is_told_apart() {
        let client = r#"{"installed":{"client_id":"1","client_secret":"GOCSPX-secret"}}"#;
        let user = r#"{"type":"authorized_user","refresh_token":"1//secret"}"#;
        for (text, start) in [
            ("", "not a service account's key, which is JSON"),
            ("-----BEGIN PRIVATE KEY-----", "not a service account's key, which is JSON"),
            ("[]", "not a service account's key, which is JSON"),
            (client, "the file of an OAuth client"),
            (&client.replace("installed", "web"), "the file of an OAuth client"),
            (user, "somebody's own log-in"),
            (r#"{"type":"external_account"}"#, "not a service account's key (its type"),
            ("{}", "not a service account's key (its type"),
            (&" ".repeat(70_000), "too large"),
            (&changed(|key| key["private_key"] = "x".into()), "its private_key cannot be used"),
            (
                &changed(|key| drop(key.as_object_mut().unwrap().remove("client_email"))),
                "not whole",
            ),
            (
                &changed(|key| key["private_key"] = serde_json::Value::Null),
                "not whole, private_key",
            ),
        ] {
            let said = refused(text);
            assert!(said.starts_with(start), "{said}");
            assert!(!said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn a_cut_off_key_is_no_key() {
        let said = refused(&changed(|key| {
            let pem = key["private_key"].as_str().unwrap();
            key["private_key"] = pem.lines().take(5).collect::<Vec<_>>().join("\n").into();
        }));
        assert!(said.starts_with("its private_key cannot be used"), "{said}");
    }

    #[test]
    fn s05_a_key_file_does_not_choose_where_it_is_used() {
        let elsewhere = changed(|key| key["token_uri"] = "http://169.254.169.254/token".into());
        assert!(refused(&elsewhere).contains("set google.token_url"));
        // Where the administrator chose, it does not matter what the file says.
        assert!(Account::parse(elsewhere.as_bytes(), "http://localhost:1/token").is_ok());
        let old =
            changed(|key| key["token_uri"] = "https://accounts.google.com/o/oauth2/token".into());
        assert!(Account::parse(old.as_bytes(), GOOGLE).is_ok());
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Account::read(Path::new("no/such/key.json"), GOOGLE).unwrap_err().to_string();
        assert_eq!(
            error,
            "no/such/key.json: not found; put the service account's key there, a JSON file"
        );
    }

    #[test]
    fn an_assertion_says_for_whom_and_for_how_long_and_is_signed() {
        use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

        let account = account();
        let now = Timestamp::from_second(1_773_150_000).unwrap();
        let token = account.assertion("maya@own.example", GOOGLE, now).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let public =
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, account.key.public_key().as_ref());
        public.verify(signed.as_bytes(), &signature).unwrap();
        let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["sub"], "maya@own.example");
        assert_eq!(claims["iss"], "debrief@debrief-test.iam.gserviceaccount.com");
        assert_eq!(claims["scope"], SCOPE);
        assert_eq!(claims["aud"], GOOGLE);
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
        let shown = format!("{account:?}");
        assert!(shown.contains("debrief@") && !shown.contains("key"), "{shown}");
    }
}
