//! Who is at the keyboard of the server, for the audit log.

use std::os::unix::fs::MetadataExt;

use crate::config;
use crate::domain::audit::Actor;

/// Whoever runs this command, by the name the operating system has for them.
pub fn operator() -> Actor {
    // A file of ours belongs to us; asking the system directly would need unsafe code.
    let uid = tempfile::tempfile().and_then(|file| file.metadata()).map(|about| about.uid());
    let name = uid.map_or_else(|_| "somebody".to_owned(), name_of);
    // Who became root: root could claim anything here, as it could rewrite the log.
    Actor::Operator(match config::sudo_user() {
        Some(user) if user != name => format!("{user} as {name}"),
        _ => name,
    })
}

fn name_of(uid: u32) -> String {
    let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = known.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("uid {uid}"))
}
