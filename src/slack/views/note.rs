//! One line and, perhaps, something to press.

use super::Look;
use super::blocks::{MESSAGE, Style, fit, line, plain_button, row, top_text};
use crate::ports::outbound::Note;

pub(super) fn look(note: &Note) -> Look {
    let mut blocks = vec![line(&[(&note.text, Style::None)])];
    blocks.extend(row(note.controls.iter().map(plain_button).collect()));
    Look { text: top_text([note.text.as_str()]), blocks: fit(blocks, MESSAGE) }
}
