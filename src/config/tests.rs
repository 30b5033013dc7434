//! The defaults, the example file, and every mistake with its message.

use super::*;

const EXAMPLE: &str = include_str!("../../config/debrief.example.toml");
const LEAST: &str = "[meetings]\nown_domains = [\"example.com\"]\n";

fn parsed(text: &str) -> Config {
    Config::parse(text, "debrief.toml").unwrap()
}

/// The message about `text`, with the required key below it, without the file's name.
fn mistake(text: &str) -> String {
    let text = if text.contains("meetings") { text.to_owned() } else { format!("{text}\n{LEAST}") };
    let message = Config::parse(&text, "debrief.toml").unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message.strip_prefix("debrief.toml:").unwrap_or(&message).to_owned()
}

fn check(cases: &[(&str, &str)]) {
    for (text, message) in cases {
        assert_eq!(mistake(text), *message, "{text}");
    }
}

#[test]
fn the_example_holds_every_key_with_its_default() {
    let (example, least) = (parsed(EXAMPLE), parsed(LEAST));
    assert_eq!(format!("{example:?}"), format!("{least:?}"));
    let mut section = "";
    let mut found = Vec::new();
    for line in EXAMPLE.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if let Some((key, _)) = line.trim_start_matches("# ").split_once(" = ") {
            found.push(format!("{section}.{key}"));
        }
    }
    assert_eq!(found, KEYS);
}

#[test]
fn defaults_are_what_the_readme_promises() {
    let config = parsed(LEAST);
    let minutes = SignedDuration::from_mins;
    assert_eq!(config.slack_api_url, "https://slack.com/api");
    assert_eq!(config.store_path, Path::new("debrief.db"));
    assert_eq!(config.prompt.delay, minutes(5));
    assert_eq!(config.prompt.expire_after, minutes(24 * 60));
    assert_eq!(config.prompt.hours.to.to_string(), "18:00:00");
    assert_eq!(config.prompt.hours.days.len(), 5);
    assert_eq!(config.digest_schedule.to_string(), "0 8 * * MON");
    assert_eq!(config.calendar.max_bytes, 16 << 20);
    assert!(!config.calendar.allow_private && !config.calendar.allow_http);
    assert!(config.calendar.allowed_hosts.is_empty());
    assert_eq!(config.http_listen, "127.0.0.1:9464".parse().ok());
    assert_eq!(config.log.level, tracing::Level::INFO);
}

#[test]
fn values_are_read_in_all_their_forms() {
    let config = parsed(
        "prompt.delay = \"0s\"\nprompt.max_per_day = 0x2\nprompt.days = \"sat-MON\"\n\
         slack = { api_url = \"http://localhost:3000/api/\" }\nhttp.listen = \"off\"\n\
         log.format = \"json\"\n\
         meetings = { own_domains = [\"Example.COM\", \"bücher.example\"], ignored_titles = [] }\n",
    );
    assert_eq!(config.prompt.delay, SignedDuration::ZERO);
    assert_eq!(config.prompt.max_per_day, 2);
    assert_eq!(config.prompt.hours.days.len(), 3);
    assert_eq!(config.slack_api_url, "http://localhost:3000/api");
    assert_eq!(config.http_listen, None);
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.meetings.own_domains, ["example.com", "bücher.example"]);
    assert!(config.meetings.ignored_titles.is_empty());
    let local = parsed(&format!("http.listen = \"localhost:80\"\n{LEAST}"));
    assert_eq!(local.http_listen, "127.0.0.1:80".parse().ok());
}

#[test]
fn f43_unknown_names_suggest_the_known() {
    check(&[
        ("[prompt]\n\ndealy = \"5m\"", "3: prompt.dealy: unknown key; did you mean prompt.delay?"),
        ("[prompt]\nlisten = \"off\"", "2: prompt.listen: unknown key; did you mean slack.listen?"),
        ("listen = \"off\"", "1: listen: unknown key; did you mean slack.listen?"),
        (
            "[calendar]\nretries = 3",
            "2: calendar.retries: unknown key; allowed: refresh, max_age, timeout, max_bytes, allow_private, \
             allow_http, allowed_hosts",
        ),
        (
            "name = \"x\"",
            "1: name: unknown key; sections: slack, store, roster, questions, prompt, digest, \
             meetings, calendar, google, http, backup, retention, log",
        ),
        ("[promt]\ndelay = \"5m\"", "1: promt: unknown section; did you mean prompt?"),
        (
            "[users]",
            "1: users: unknown section; allowed: slack, store, roster, questions, prompt, digest, \
             meetings, calendar, google, http, backup, retention, log",
        ),
        ("log = \"info\"", "1: log: is a section; write [log] and its keys below"),
        ("[[log]]\nlevel = \"info\"", "1: log: is a section; write [log] and its keys below"),
        (
            "[slack]\nbot_token = \"xoxb-1\"",
            "2: slack.bot_token: unknown key; tokens are not written here but in the environment, \
             as DEBRIEF_SLACK_BOT_TOKEN and DEBRIEF_SLACK_APP_TOKEN",
        ),
        (
            "[log]\nlevl = 1\n[prompt]\ndelay = 1",
            "2: log.levl: unknown key; did you mean log.level?",
        ),
    ]);
}

#[test]
fn wrong_types_and_broken_files_are_shown_in_place() {
    check(&[
        (
            "[prompt]\ndelay = 5",
            "2: prompt.delay: 5 is not text; write it in quotation marks, such as \"5m\"",
        ),
        (
            "[slack]\nrate = \"fast\"",
            "2: slack.rate: \"fast\" is not a rate; write \"auto\", or for instance 300/min",
        ),
        (
            "[slack]\nrate = \"5/min\"",
            "2: slack.rate: \"5/min\" is out of range; write a rate from 10/min to 6000/min",
        ),
        (
            "[prompt]\nmax_per_day = \"five\"",
            "2: prompt.max_per_day: \"five\" is not a whole number from 1 to 100",
        ),
        (
            "[prompt]\nmax_per_day = -1",
            "2: prompt.max_per_day: -1 is not a whole number from 1 to 100",
        ),
        (
            "[prompt]\nmax_per_day = 2.5",
            "2: prompt.max_per_day: 2.5 is not a whole number from 1 to 100",
        ),
        (
            "[meetings]\nown_domains = \"example.com\"",
            "2: meetings.own_domains: \"example.com\" is not a list; write texts in square \
             brackets, such as [\"…\", \"…\"]",
        ),
        (
            "[meetings]\nown_domains = [\n  \"example.com\",\n  7,\n]",
            "4: meetings.own_domains: 7 is not text; write it in quotation marks, such as \"…\"",
        ),
        (
            "[log]\nlevel = [\"a rather long list of levels\",\n \"that is cut somewhere in the \
             middle\"]",
            "2: log.level: [\"a rather long list of levels\", \"that is cut somewhere in t… is not \
             text; write it in quotation marks, such as \"info\"",
        ),
        (
            "[prompt]\ndelay = 5m",
            "2: not valid TOML: text needs quotation marks, as in delay = \"…\"",
        ),
        ("[prompt]\ndelay = \"5m\"\ndelay = \"6m\"", "3: not valid TOML: duplicate key"),
        (
            "[log]\nlevel = info",
            "2: not valid TOML: text needs quotation marks, as in level = \"…\"",
        ),
        ("[prompt\n", "1: not valid TOML: unclosed table, expected `]`"),
    ]);
}

#[test]
fn f43_impossible_times_say_what_to_write() {
    let duration = "is not a duration; write 90s, 5m or 24h";
    for bad in ["5 minutes", "", "5", "m", "-5m", "+5m", "1h30m", "99999999999s", "5ü"] {
        assert_eq!(
            mistake(&format!("[prompt]\ndelay = \"{bad}\"")),
            format!("2: prompt.delay: \"{bad}\" {duration}")
        );
    }
    check(&[
        (
            "[prompt]\nremind_after = \"0s\"",
            "2: prompt.remind_after: \"0s\" is out of range; write a duration from 1s to 7d",
        ),
        (
            "[prompt]\nexpire_after = \"2h\"",
            "2: prompt.expire_after: must be longer than prompt.remind_after, or nobody is \
             reminded",
        ),
        (
            "[prompt]\nremind_after = \"2d\"",
            "1: prompt.expire_after: must be longer than prompt.remind_after, or nobody is \
             reminded",
        ),
        (
            "[prompt]\nhours = \"8-18\"",
            "2: prompt.hours: \"8-18\" is not a stretch of a day; write 08:00-18:00",
        ),
        (
            "[prompt]\nhours = \"18:00-08:00\"",
            "2: prompt.hours: \"18:00-08:00\" ends too early; write a stretch of one day of an \
             hour at least, such as 08:00-18:00",
        ),
        (
            "[prompt]\ndays = \"1-5\"",
            "2: prompt.days: \"1-5\" cannot be used: \"1\" is not a weekday: programs number \
             weekdays differently, so write names: MON, TUE, WED, THU, FRI, SAT, SUN",
        ),
        (
            "[digest]\nschedule = \"0 25 * * MON\"",
            "2: digest.schedule: \"0 25 * * MON\" cannot be used: \"25\" is not an hour; write 0 \
             to 23, such as 8, 8,13 or 8-17",
        ),
    ]);
}

#[test]
fn impossible_values_say_what_to_write() {
    check(&[
        (
            "[calendar]\nmax_bytes = \"32MB\"",
            "2: calendar.max_bytes: \"32MB\" is not a size; write 512KiB, 32MiB or 1GiB",
        ),
        (
            "[calendar]\nmax_bytes = \"2GiB\"",
            "2: calendar.max_bytes: \"2GiB\" is out of range; write a size from 64KiB to 1GiB",
        ),
        (
            "[slack]\napi_url = \"slack.com/api\"",
            "2: slack.api_url: \"slack.com/api\" is not a web address; write https://slack.com/api",
        ),
        (
            "[google]\napi_url = \"googleapis.com\"",
            "2: google.api_url: \"googleapis.com\" is not a web address; write \
             https://www.googleapis.com/calendar/v3",
        ),
        (
            "[google]\nkey_file = \"\"",
            "2: google.key_file: \"\" is empty; write the path of a file",
        ),
        (
            "[store]\nmissing = \"maybe\"",
            "2: store.missing: \"maybe\" is unknown; write \"create\" or \"refuse\"",
        ),
        (
            "[calendar]\nallow_private = \"yes\"",
            "2: calendar.allow_private: \"yes\" is not a switch; write true or false",
        ),
        (
            "[calendar]\nallowed_hosts = [\"https://x.example/\"]",
            "2: calendar.allowed_hosts: \"https://x.example/\" is not a server; write its name \
             alone, such as calendar.google.com",
        ),
        ("[store]\npath = \"\"", "2: store.path: \"\" is empty; write the path of a file"),
        (
            "[log]\nlevel = \"loud\"",
            "2: log.level: \"loud\" is not a log level; write error, warn, info, debug or trace",
        ),
        (
            "[log]\nformat = \"xml\"",
            "2: log.format: \"xml\" is not a log format; write human or json",
        ),
    ]);
}

#[test]
fn the_listener_stays_on_this_machine() {
    let open = "can be reached from other machines, and health and metrics ask for no password; \
                write 127.0.0.1:9464 or off";
    for address in ["0.0.0.0:9464", "10.0.0.5:80", "[::]:9464"] {
        assert_eq!(
            mistake(&format!("[http]\nlisten = \"{address}\"")),
            format!("2: http.listen: \"{address}\" {open}")
        );
    }
    check(&[(
        "[http]\nlisten = \"9464\"",
        "2: http.listen: \"9464\" is not an address and port; write 127.0.0.1:9464 or off",
    )]);
}

#[test]
fn own_domains_are_needed_and_are_domains() {
    let none = "names no domain; write your own mail domains, such as own_domains = \
                [\"example.com\"]";
    let missing = Config::parse("", "debrief.toml").unwrap_err().to_string();
    assert_eq!(missing, format!("debrief.toml: meetings.own_domains: {none}"));
    assert_eq!(
        mistake("\n[meetings]\nmin_length = \"15m\""),
        format!("2: meetings.own_domains: {none}")
    );
    assert_eq!(mistake("[meetings]\nown_domains = []"), format!("2: meetings.own_domains: {none}"));
    for bad in ["maya@example.com", "example", "", "https://example.com", "a..b"] {
        assert_eq!(
            mistake(&format!("[meetings]\nown_domains = [\"{bad}\"]")),
            format!(
                "2: meetings.own_domains: \"{bad}\" is not a mail domain; write what follows the \
                 @, such as example.com"
            )
        );
    }
    assert_eq!(
        mistake("[meetings]\nown_domains = [\"example.com\"]\nignored_titles = [\" \"]"),
        "3: meetings.ignored_titles: \" \" would rule out every meeting; write a word of a title \
         or remove it"
    );
}

#[test]
fn files_that_cannot_be_read_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("debrief.toml");
    let shown = missing.display();
    assert_eq!(
        Config::load(&missing).unwrap_err().to_string(),
        format!(
            "{shown}: not found; copy config/debrief.example.toml to {shown} and change what you \
             need"
        )
    );
    std::fs::write(&missing, b"\xff").unwrap();
    assert_eq!(
        Config::load(&missing).unwrap_err().to_string(),
        format!("{shown}: cannot be read: it is not UTF-8 text")
    );
    std::fs::write(&missing, format!("\u{feff}{LEAST}")).unwrap();
    assert!(Config::load(&missing).is_ok());
    check(&[(
        "[questions]\nfile = \"no/such/file\"",
        "2: questions.file: cannot be read: not found; without this key the built-in questions \
         are asked",
    )]);
}

#[test]
fn mistakes_in_the_questions_are_told_like_any_other() {
    use crate::domain::question::DEFAULT;

    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let config = format!("[questions]\nfile = {path:?}\n{LEAST}");
    let told = |questions: &str| {
        std::fs::write(path, questions).unwrap();
        Config::parse(&config, "debrief.toml").map_err(|error| error.to_string().replace(path, "Q"))
    };
    assert!(told(DEFAULT).is_ok());
    assert_eq!(
        told("\nending = 1").unwrap_err(),
        "Q:2: invalid type: integer `1`, expected struct EndingTexts"
    );
    assert_eq!(
        told(&DEFAULT.replace("id = \"effort\"", "id = \"skill\"")).unwrap_err(),
        "Q: tap: id \"skill\" is used twice"
    );
}

#[test]
fn google_is_set_up_by_naming_a_key() {
    assert!(parsed(LEAST).google.is_none());
    let text = "google = { key_file = \"k.json\", token_url = \"http://localhost:1/token/\" }";
    let google = parsed(&format!("{text}\n{LEAST}")).google.unwrap();
    assert_eq!(google.key_file, Path::new("k.json"));
    assert_eq!(google.api_url, "https://www.googleapis.com/calendar/v3");
    assert_eq!(google.token_url, "http://localhost:1/token");
}

#[test]
fn backups_lie_beside_the_store_unless_told_otherwise() {
    let config = parsed(&format!("store.path = \"data/d.db\"\n{LEAST}"));
    assert_eq!(config.backup.folder, Path::new("data/d.db.backups"));
    assert!(config.backup.schedule.is_some());
    let config = parsed(&format!(
        "backup = {{ folder = \"/b\", schedule = \"off\" }}\nretention.debriefs = \"2y\"\n{LEAST}"
    ));
    assert_eq!(config.backup.folder, Path::new("/b"));
    assert!(config.backup.schedule.is_none());
    assert_eq!(config.retention.ages.debriefs.to_string(), "24mo");
}

#[test]
fn ages_that_promise_too_little_are_refused() {
    check(&[
        (
            "retention.debriefs = \"18 months\"",
            "1: retention.debriefs: \"18 months\" is not an age; write 30d, 18mo or 2y",
        ),
        (
            "retention.debriefs = \"1mo\"",
            "1: retention.debriefs: \"1mo\" is too short; write 60d or longer",
        ),
        ("backup.daily = 31", "1: backup.daily: 31 is not a whole number from 1 to 30"),
    ]);
}
