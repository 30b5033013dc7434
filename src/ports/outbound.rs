//! What people are shown.
//!
//! The structures say *what* is shown, in the order in which it is read; the Slack adapter decides
//! how it looks and cuts what Slack would refuse. All text is raw; escaping is the adapter's.

use jiff::civil::Date;

use super::inbound::Control;
use crate::domain::debrief::{DebriefId, Outcome};

/// A message in somebody's direct conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Card {
    Prompt(PromptCard),
    /// One line and, perhaps, something to press.
    Note(Note),
    Digest(DigestCard),
}

/// The question about one meeting, in whatever state it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptCard {
    pub debrief: DebriefId,
    /// Grows with every change, so that Slack redraws the message.
    pub revision: i64,
    pub account: String,
    /// One line of facts: title, kind, times, who came.
    pub facts: String,
    pub stage: PromptStage,
}

/// What the prompt shows below its facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromptStage {
    /// Open: buttons for the ending, *Answer*, snooze, skip.
    Open {
        /// "How did it end?"
        question: String,
        endings: Vec<Ending>,
        /// The text question, worded for the chosen ending.
        reflect: String,
        /// Who will read it, before anything is typed.
        readers: String,
        snoozes: Vec<(crate::domain::debrief::Snooze, String)>,
        /// Further buttons beside *Answer*.
        extra: Vec<Button>,
    },
    /// One line, with what can still be pressed.
    Closed {
        line: String,
        controls: Vec<Button>,
        /// Asked once more if the answer came without it.
        endings: Vec<Ending>,
    },
}

/// One button of "How did it end?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    pub outcome: Outcome,
    pub label: String,
    pub chosen: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub text: String,
    pub controls: Vec<Button>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    /// At most 24 characters.
    pub label: String,
    pub control: Control,
    /// The one thing that we hope is pressed.
    pub primary: bool,
}

/// A manager's week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestCard {
    /// "Your team, 9–15 March"
    pub title: String,
    /// "23 debriefs from 31 customer meetings · 5 of 6 reps"
    pub summary: String,
    /// All of it as plain text, for screen readers and phones.
    pub text: String,
    /// Everything after the summary, in order.
    pub sections: Vec<DigestSection>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DigestSection {
    /// A heading with short lines.
    Lines { heading: String, lines: Vec<String> },
    /// What people wrote, with whose words they are.
    Quotes { heading: String, quotes: Vec<Quote> },
    /// How meetings ended, stacked, a bar a category. Shown as a chart where Slack allows it.
    Chart(Chart),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    pub who: String,
    pub words: String,
}

/// A stacked bar chart: every series has one value for every category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// At most 50 characters.
    pub title: String,
    /// At most 20, of 20 characters.
    pub categories: Vec<String>,
    /// At most 6, of 20 characters.
    pub series: Vec<(String, Vec<u32>)>,
}

/// A modal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Modal {
    /// Opened at once, before anything is looked up.
    Loading {
        title: String,
    },
    Form(Form),
    /// There is nothing to fill in: why not, and what to do.
    Sorry {
        title: String,
        text: String,
    },
}

/// A form: what it is about, a few facts, the fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    pub id: FormId,
    /// At most 24 characters.
    pub title: String,
    /// At most 24 characters.
    pub submit: String,
    pub intro: Vec<String>,
    pub fields: Vec<Field>,
    /// Small print below the fields.
    pub outro: Option<String>,
}

/// Which form it is; comes back with the submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormId {
    Answer(DebriefId),
    Correct(DebriefId),
    Log,
}

/// One thing to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Short ASCII; the key in the submitted values.
    pub id: String,
    pub label: String,
    pub hint: Option<String>,
    pub optional: bool,
    pub input: Input,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    Text {
        value: String,
        max_length: u16,
        multiline: bool,
        placeholder: String,
    },
    /// One of a few, all visible.
    Radio {
        options: Vec<Choice>,
        chosen: Option<String>,
        reaction: Reaction,
    },
    /// One of many, in a menu.
    Menu {
        options: Vec<Choice>,
        chosen: Option<String>,
        placeholder: String,
    },
    Date {
        value: Option<Date>,
    },
    Ticks {
        options: Vec<Choice>,
        ticked: Vec<String>,
    },
}

/// Whether a choice changes the form while it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    None,
    /// Reported as [`Control::Reworded`] for this debrief.
    Rewords(DebriefId),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub id: String,
    /// At most 75 characters.
    pub label: String,
}

/// A reply that only the asker sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whisper {
    /// In place of the message that carried the pressed control.
    pub replaces: bool,
    pub body: Vec<Piece>,
}

/// The Home tab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    pub body: Vec<Piece>,
}

/// A building block of whispers and the Home tab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Heading(String),
    /// A line of our own words; `*bold*` works, user text in it does not become markup.
    Text(Vec<Span>),
    /// Small grey print.
    Small(String),
    Buttons(Vec<Button>),
    /// One past debrief: a bold line, small facts, what was answered, a button.
    Entry(Entry),
    Divider,
}

/// A run of text in a [`Piece::Text`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    Plain(String),
    Bold(String),
    Code(String),
}

/// One debrief in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub title: String,
    pub facts: String,
    /// Question (may be empty) and answer.
    pub answers: Vec<(String, String)>,
    pub control: Option<Button>,
}
