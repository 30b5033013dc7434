//! What people see.

mod fits;
mod forms;
mod limits;

use std::fmt::Write as _;

use super::*;
use crate::domain::debrief::{DebriefId, Outcome, Snooze};
use crate::ports::inbound::Control;
use crate::ports::outbound::{
    Button, Chart, Choice, DigestCard, DigestSection, Ending, Entry, Field, Form, FormId, Input,
    Note, Piece, PromptCard, PromptStage, Quote, Reaction, Span,
};
use crate::slack::controls;

/// Blocks as lines: what they are and what stands in them.
fn drawn(blocks: &[Value]) -> String {
    let mut out = String::new();
    for block in blocks {
        let kind = block["type"].as_str().unwrap();
        let id = block["block_id"].as_str().unwrap_or("-");
        let _ = writeln!(out, "{kind} {id}: {}", inside(block));
    }
    out
}

fn inside(value: &Value) -> String {
    let list = |name: &str, between: &str| {
        let all = value[name].as_array().into_iter().flatten();
        all.map(inside).collect::<Vec<_>>().join(between)
    };
    match value["type"].as_str().unwrap_or_default() {
        "button" => {
            let star = if value["style"] == "primary" { "*" } else { "" };
            format!("[{}{star}]", inside(&value["text"]))
        }
        "overflow" => format!("[… {}]", list("options", " / ")),
        "input" => {
            let optional = if value["optional"] == true { "?" } else { "" };
            format!("{}{optional} = {}", inside(&value["label"]), inside(&value["element"]))
        }
        "plain_text_input" => format!("text {:?}", value["initial_value"].as_str().unwrap_or("")),
        "datepicker" => format!("date {}", value["initial_date"]),
        kind @ ("radio_buttons" | "static_select" | "checkboxes") => {
            format!("{kind} {} ({})", list("options", " / "), value["initial_option"]["value"])
        }
        "rich_text_quote" => format!("> {}", list("elements", "")),
        "rich_text_section" => list("elements", ""),
        "rich_text_list" => format!("• {}", list("elements", " • ")),
        "rich_text" => list("elements", " ¶ ").replace('\n', " ⏎ "),
        "actions" | "context" => list("elements", " "),
        "text" if value["style"]["bold"] == true => format!("*{}*", word(value)),
        "header" | "section" => inside(&value["text"]),
        "data_visualization" => format!("{} {}", value["title"], value["chart"]),
        "data_table" | "table" => value["rows"].to_string(),
        "divider" => String::new(),
        _ if value["text"].is_object() => inside(&value["text"]),
        _ => word(value),
    }
}

fn word(value: &Value) -> String {
    value["text"].as_str().unwrap_or_default().to_owned()
}

fn button(label: &str, control: Control) -> Button {
    Button { label: label.into(), control, primary: false }
}

fn prompt(stage: PromptStage) -> Card {
    Card::Prompt(PromptCard {
        debrief: DebriefId(7),
        revision: 3,
        account: "Acme <3".into(),
        facts: "Pricing · 15:00–15:45".into(),
        stage,
    })
}

fn open() -> PromptStage {
    let debrief = DebriefId(7);
    PromptStage::Open {
        question: "How did it end?".into(),
        endings: vec![
            Ending { outcome: Outcome::Yes, label: "A firm yes".into(), chosen: true },
            Ending { outcome: Outcome::No, label: "No".into(), chosen: false },
        ],
        reflect: "What made it work?".into(),
        readers: "Kim reads this.".into(),
        snoozes: vec![
            (Snooze::OneHour, "In 1 hour".into()),
            (Snooze::EndOfDay, "End of day".into()),
        ],
        extra: vec![button("That was rough", Control::Rough { debrief })],
    }
}

#[test]
fn an_open_prompt() {
    let looks = card(&prompt(open()));
    insta::assert_snapshot!(drawn(&looks[0].blocks), @"
    rich_text d7.3.0: *Acme <3* ⏎ Pricing · 15:00–15:45
    rich_text d7.3.1: *How did it end?*
    actions d7.3.2: [✓ A firm yes] [No]
    rich_text d7.3.3: *What made it work?*
    actions d7.3.4: [Answer*] [That was rough] [In 1 hour] [Skip] [… End of day / Wrong account or kind]
    context d7.3.5: Kim reads this.
    ");
    insta::assert_snapshot!(looks[0].text, @"
    Acme &lt;3
    Pricing · 15:00–15:45
    How did it end?
    A firm yes
    No
    What made it work?
    Kim reads this.
    ");
    assert_eq!(looks[1].text, looks[0].text);
    assert!(looks[1].blocks.is_empty());
}

#[test]
fn a_closed_prompt() {
    let debrief = DebriefId(7);
    let looks = card(&prompt(PromptStage::Closed {
        line: "Saved. Only you see it.".into(),
        controls: vec![
            button("Edit", Control::Answer { debrief }),
            button("Unlock", Control::Unlock { debrief }),
        ],
        endings: vec![],
    }));
    insta::assert_snapshot!(drawn(&looks[0].blocks), @"
    rich_text d7.3.0: Saved. Only you see it.
    actions d7.3.1: [Edit] [Unlock]
    ");
}

#[test]
fn a_message_may_change_into_any_other() {
    for look in
        [card(&prompt(open())), card(&Card::Note(Note { text: "Hi".into(), controls: vec![] }))]
    {
        assert_eq!(look[0].blocks[0]["type"], "rich_text");
    }
}

#[test]
fn a_note() {
    let control = Control::Claim { pending: 4, debrief: DebriefId(7) };
    let looks = card(&Card::Note(Note {
        text: "Which one was <this> about?".into(),
        controls: vec![button("Acme", control), button("None", Control::Discard { pending: 4 })],
    }));
    insta::assert_snapshot!(drawn(&looks[0].blocks), @"
    rich_text -: Which one was <this> about?
    actions -: [Acme] [None]
    ");
    assert_eq!(looks[0].text, "Which one was &lt;this&gt; about?");
}

fn week() -> DigestCard {
    DigestCard {
        title: "Your team, 9–15 March".into(),
        summary: "2 debriefs from 3 customer meetings".into(),
        text: "Your team, 9–15 March: 2 debriefs".into(),
        sections: vec![
            DigestSection::Lines {
                heading: "Worth asking".into(),
                lines: vec!["Tom: What made it work?".into()],
            },
            DigestSection::Chart(Chart {
                title: "How meetings ended".into(),
                categories: vec!["2 Mar".into(), "9 Mar".into()],
                series: vec![("Yes".into(), vec![1, 2]), ("No".into(), vec![0])],
            }),
            DigestSection::Quotes {
                heading: "In their words".into(),
                quotes: vec![Quote { who: "Tom, Acme".into(), words: "let them *lead*".into() }],
            },
        ],
    }
}

#[test]
fn a_digest_and_its_plainer_looks() {
    let looks = card(&Card::Digest(week()));
    assert_eq!(looks.len(), 5);
    insta::assert_snapshot!(drawn(&looks[0].blocks), @r#"
    header digest.0: Your team, 9–15 March
    rich_text digest.1: 2 debriefs from 3 customer meetings
    rich_text digest.2: *Worth asking* ¶ • Tom: What made it work?
    data_visualization digest.3: "How meetings ended" {"axis_config":{"categories":["2 Mar","9 Mar"]},"series":[{"data":[{"label":"2 Mar","value":1},{"label":"9 Mar","value":2}],"name":"Yes"},{"data":[{"label":"2 Mar","value":0},{"label":"9 Mar","value":0}],"name":"No"}],"type":"bar"}
    rich_text digest.4: *In their words* ¶ > let them *lead* ⏎ – Tom, Acme
    "#);
    let charts: Vec<String> = looks[1..4].iter().map(|look| drawn(&look.blocks[3..4])).collect();
    insta::assert_snapshot!(charts.concat(), @r#"
    data_table digest.3: [[{"text":"How meetings ended","type":"raw_text"},{"text":"Yes","type":"raw_text"},{"text":"No","type":"raw_text"}],[{"text":"2 Mar","type":"raw_text"},{"text":"1","type":"raw_number","value":1},{"text":"0","type":"raw_number","value":0}],[{"text":"9 Mar","type":"raw_text"},{"text":"2","type":"raw_number","value":2},{"text":"0","type":"raw_number","value":0}]]
    table digest.3: [[{"text":"How meetings ended","type":"raw_text"},{"text":"Yes","type":"raw_text"},{"text":"No","type":"raw_text"}],[{"text":"2 Mar","type":"raw_text"},{"text":"1","type":"raw_text"},{"text":"0","type":"raw_text"}],[{"text":"9 Mar","type":"raw_text"},{"text":"2","type":"raw_text"},{"text":"0","type":"raw_text"}]]
    rich_text digest.3: *How meetings ended* ¶ • 2 Mar: ▮ Yes 1 • 9 Mar: ▮▮ Yes 2
    "#);
    assert!(looks[4].blocks.is_empty());
    assert!(looks.iter().all(|look| look.text == "Your team, 9–15 March: 2 debriefs"));
}

fn pieces() -> Vec<Piece> {
    let debrief = DebriefId(7);
    vec![
        Piece::Heading("Waiting for you".into()),
        Piece::Text(vec![
            Span::Plain("Try ".into()),
            Span::Code("/debrief now".into()),
            Span::Bold(" <now>".into()),
        ]),
        Piece::Buttons(vec![button("Log one", Control::Log)]),
        Piece::Divider,
        Piece::Entry(Entry {
            title: "Acme".into(),
            facts: "9 March · a firm yes".into(),
            answers: vec![("Why?".into(), "they *asked*".into()), (String::new(), "ok".into())],
            control: Some(button("Edit", Control::Answer { debrief })),
        }),
        Piece::Small("Kim reads this.".into()),
    ]
}

#[test]
fn the_home_tab_and_whispers_are_drawn_alike() {
    let view = home(&Home { body: pieces() });
    insta::assert_snapshot!(drawn(view["blocks"].as_array().unwrap()), @"
    header -: Waiting for you
    rich_text -: Try /debrief now* <now>*
    actions -: [Log one]
    divider -: 
    rich_text -: *Acme* ⏎ 9 March · a firm yes ⏎ Why? they *asked* ⏎ ok
    actions -: [Edit]
    context -: Kim reads this.
    ");
    let whisper = whisper(&Whisper { replaces: false, body: pieces() });
    assert_eq!(whisper["blocks"], view["blocks"]);
    assert_eq!(whisper["response_type"], "ephemeral");
    assert_eq!(whisper["replace_original"], false);
    insta::assert_snapshot!(whisper["text"].as_str().unwrap(), @"
    Waiting for you
    Try /debrief now &lt;now&gt;
    Acme
    9 March · a firm yes
    Why? they *asked*
    ok
    Kim reads this.
    ");
}
