//! Where a `response_url` may lead.
//!
//! It comes from outside and we post answers to it, so it must be Slack's own: `hooks.slack.com`, or
//! the configured workspace itself where that is a pretend one. It is kept in memory only.

/// The hosts that belong to one Web API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReplyPlaces {
    /// Scheme, host and port, with a slash at the end.
    allowed: String,
}

impl ReplyPlaces {
    /// For a Web API at `https://slack.com/api`, or elsewhere.
    pub(super) fn of(api_url: &str) -> Self {
        let (scheme, rest) = api_url.split_once("://").unwrap_or(("https", api_url));
        let host = rest.split('/').next().unwrap_or_default();
        let host = match host {
            "slack.com" | "slack-gov.com" => format!("hooks.{host}"),
            other => other.to_owned(),
        };
        Self { allowed: format!("{scheme}://{host}/") }
    }

    pub(super) fn allows(&self, url: &str) -> bool {
        url.starts_with(&self.allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s12_answers_go_to_slack_only() {
        let slack = ReplyPlaces::of("https://slack.com/api");
        assert!(slack.allows("https://hooks.slack.com/commands/T1/1/x"));
        assert!(
            ReplyPlaces::of("https://slack-gov.com/api").allows("https://hooks.slack-gov.com/a")
        );
        for elsewhere in [
            "http://hooks.slack.com/commands/T1/1/x",
            "https://hooks.slack.com.evil.example/x",
            "https://hooks.slack.com@evil.example/x",
            "https://hooks.slack.com:444/x",
            "https://evil.example/hooks.slack.com/",
            "https://slack.com/api",
            "http://169.254.169.254/",
            "https://hooks.slack.com",
            "",
        ] {
            assert!(!slack.allows(elsewhere), "{elsewhere}");
        }
        let pretend = ReplyPlaces::of("http://127.0.0.1:7878/api");
        assert!(pretend.allows("http://127.0.0.1:7878/response/r1"));
        assert!(!pretend.allows("http://127.0.0.1:78781/response/r1"));
        assert!(!pretend.allows("https://hooks.slack.com/x"));
    }
}
