//! Whether a write-ahead log is damaged or merely torn.
//!
//! SQLite reads its log up to the first frame whose checksum is wrong and forgets the rest without a
//! word: right after a power cut, when that is the transaction that was being written, and wrong
//! after a flipped bit, when acknowledged answers lie behind it. The two can be told apart: a
//! transaction is flushed before the next one begins, so behind a torn one there is nothing.
//! Opening a store empties the log, so what an earlier life left in it does not confuse us.
//!
//! The format: <https://sqlite.org/fileformat2.html#the_write_ahead_log>. Damage to the very last
//! transaction looks like a tear.

use std::path::Path;

use anyhow::Context;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// Without its last bit, which says in which byte order checksums are added up.
const MAGIC: u32 = 0x377f_0682;

/// Whether acknowledged transactions in `wal` cannot be read any more.
pub(super) fn is_damaged(wal: &Path) -> anyhow::Result<bool> {
    match std::fs::read(wal) {
        Ok(bytes) => Ok(damaged(&bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("read {}", wal.display())),
    }
}

fn damaged(wal: &[u8]) -> bool {
    // The header is flushed before the first frame is written.
    if wal.len() <= HEADER {
        return false;
    }
    let (header, frames) = wal.split_at(HEADER);
    let order = if word(header, 0) & 1 == 1 { u32::from_be_bytes } else { u32::from_le_bytes };
    let mut sum = add((0, 0), &header[..24], order);
    let page = usize::try_from(word(header, 8)).unwrap_or(0);
    if word(header, 0) & !1 != MAGIC || sum != (word(header, 24), word(header, 28)) || page < 512 {
        return true;
    }
    let mut frames = frames.chunks_exact(FRAME_HEADER + page);
    for frame in frames.by_ref() {
        let (about, content) = frame.split_at(FRAME_HEADER);
        let expected = add(add(sum, &about[..8], order), content, order);
        if is_current(frame, header) && expected == (word(about, 16), word(about, 20)) {
            sum = expected;
            continue;
        }
        // Here the readable part ends. The rest may hold one transaction, up to its commit.
        let mut rest =
            std::iter::once(frame).chain(frames).filter(|frame| is_current(frame, header));
        return rest.by_ref().any(is_commit) && rest.next().is_some();
    }
    false
}

/// Whether a frame was written since the log was last begun anew.
fn is_current(frame: &[u8], header: &[u8]) -> bool {
    frame[8..16] == header[16..24]
}

fn is_commit(frame: &[u8]) -> bool {
    word(frame, 4) != 0
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |word, &byte| word << 8 | u32::from(byte))
}

fn add(sum: (u32, u32), bytes: &[u8], order: fn([u8; 4]) -> u32) -> (u32, u32) {
    let words = |pair: &[u8]| {
        let at = |from: usize| order([pair[from], pair[from + 1], pair[from + 2], pair[from + 3]]);
        (at(0), at(4))
    };
    bytes.chunks_exact(8).map(words).fold(sum, |(one, two), (first, second)| {
        let one = one.wrapping_add(first).wrapping_add(two);
        (one, two.wrapping_add(second).wrapping_add(one))
    })
}
