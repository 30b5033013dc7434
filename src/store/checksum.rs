//! The checksum beside a backup, as `sha256sum` writes and reads it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::{Digest, Sha256};

use super::backup::{beside, remove};

/// Compares a file with the checksum beside it. `None` if there is none.
///
/// # Errors
/// If a file cannot be read.
pub fn matches(path: &Path) -> anyhow::Result<Option<bool>> {
    let noted = match fs::read_to_string(place(path)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| format!("read the checksum of {}", path.display()));
        }
    };
    let noted = noted.split_whitespace().next().unwrap_or_default();
    Ok(Some(noted.eq_ignore_ascii_case(&of(path)?)))
}

/// Where the checksum of `path` is.
pub(super) fn place(path: &Path) -> PathBuf {
    beside(path, "sha256")
}

/// Notes the checksum of what is to have that name.
pub(super) fn write(name: &Path, checksum: &str) -> anyhow::Result<()> {
    let path = place(name);
    let partial = beside(&path, "partial");
    let name = name.file_name().unwrap_or_default().to_string_lossy();
    remove(&partial)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&partial)
        .with_context(|| format!("create {}", partial.display()))?;
    file.write_all(format!("{checksum}  {name}\n").as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("write {}", partial.display()))?;
    fs::rename(&partial, &path).with_context(|| format!("name {}", path.display()))
}

pub(super) fn of(path: &Path) -> anyhow::Result<String> {
    let mut file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).with_context(|| format!("read {}", path.display()))? {
            0 => break,
            count => digest.update(&buffer[..count]),
        }
    }
    let mut hex = String::new();
    for byte in digest.finalize() {
        push_hex(&mut hex, byte);
    }
    Ok(hex)
}

pub(super) fn push_hex(text: &mut String, byte: u8) {
    for half in [byte >> 4, byte & 15] {
        text.push(char::from_digit(u32::from(half), 16).unwrap_or('0'));
    }
}
