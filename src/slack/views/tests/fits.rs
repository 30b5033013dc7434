//! Slack takes what we draw, whatever is in it.

use serde_json::json;

use super::limits::{hold_message, hold_view};
use super::*;

/// Texts of every awkward length and kind.
fn awkward() -> [String; 5] {
    [
        String::new(),
        " \n\u{202e}".into(),
        "x".repeat(5000),
        "👩\u{200d}🚀&<".repeat(500),
        "<!channel> *b* `c`".into(),
    ]
}

fn hold_all(looks: &[Look]) {
    for look in looks {
        hold_message(&look.text, &look.blocks);
    }
}

#[test]
fn slack_takes_every_message() {
    for text in awkward() {
        let debrief = DebriefId(i64::MAX);
        let ending = |outcome| Ending { outcome, label: text.clone(), chosen: true };
        let buttons: Vec<Button> =
            controls::tests::all().into_iter().map(|control| button(&text, control)).collect();
        let stages = [
            PromptStage::Open {
                question: text.clone(),
                endings: Outcome::ALL.into_iter().map(ending).collect(),
                reflect: text.clone(),
                readers: text.clone(),
                snoozes: Snooze::ALL.into_iter().map(|until| (until, text.clone())).collect(),
                extra: buttons.clone(),
            },
            PromptStage::Closed {
                line: text.clone(),
                controls: buttons.clone(),
                endings: Outcome::ALL.into_iter().map(ending).collect(),
            },
        ];
        for stage in stages {
            let looks = card(&Card::Prompt(PromptCard {
                debrief,
                revision: i64::MAX,
                account: text.clone(),
                facts: text.clone(),
                stage,
            }));
            hold_all(&looks);
        }
        let note = Card::Note(Note { text: text.clone(), controls: buttons });
        hold_all(&card(&note));
    }
}

#[test]
fn slack_takes_every_digest() {
    for text in awkward() {
        for many in [0, 1, 30] {
            let chart = DigestSection::Chart(Chart {
                title: text.clone(),
                categories: vec![text.clone(); many],
                series: vec![(text.clone(), vec![7; 3]); many],
            });
            let quote = Quote { who: text.clone(), words: text.clone() };
            let mut sections = vec![chart; 3];
            for _ in 0..many {
                sections.push(DigestSection::Lines {
                    heading: text.clone(),
                    lines: vec![text.clone(); many],
                });
                sections.push(DigestSection::Quotes {
                    heading: text.clone(),
                    quotes: vec![quote.clone(); many],
                });
            }
            let looks = card(&Card::Digest(DigestCard {
                title: text.clone(),
                summary: text.clone(),
                text: text.clone(),
                sections,
            }));
            assert_eq!(looks.len(), 5);
            hold_all(&looks);
        }
    }
}

#[test]
fn slack_takes_every_form() {
    for text in awkward() {
        for (many, asked) in [(0, 1), (1, 1), (11, 11), (120, 2), (1, 120)] {
            let options: Vec<Choice> = (0..many)
                .map(|n| Choice { id: format!("o{n}"), label: text.clone() })
                .chain([Choice { id: "o0".into(), label: "again".into() }])
                .collect();
            let chosen = Some("o0".to_owned());
            let inputs = [
                Input::Text {
                    value: text.clone(),
                    max_length: u16::try_from(many * 100).unwrap(),
                    multiline: false,
                    placeholder: text.clone(),
                },
                Input::Radio {
                    options: options.clone(),
                    chosen: chosen.clone(),
                    reaction: Reaction::None,
                },
                Input::Menu { options: options.clone(), chosen, placeholder: text.clone() },
                Input::Ticks { options, ticked: vec!["o0".into(), "gone".into()] },
                Input::Date { value: None },
            ];
            let fields = (0..asked).flat_map(|n| {
                let text = &text;
                inputs.iter().enumerate().map(move |(at, input)| Field {
                    id: format!("f{n}.{at}"),
                    label: text.clone(),
                    hint: Some(text.clone()),
                    optional: true,
                    input: input.clone(),
                })
            });
            hold_view(&modal(&Modal::Form(Form {
                id: FormId::Log,
                title: text.clone(),
                submit: text.clone(),
                intro: vec![text.clone(); many],
                fields: fields.collect(),
                outro: Some(text.clone()),
            })));
        }
        hold_view(&modal(&Modal::Sorry { title: text.clone(), text: text.clone() }));
    }
}

#[test]
fn slack_takes_every_home_and_whisper() {
    for text in awkward() {
        let entry = Piece::Entry(Entry {
            title: text.clone(),
            facts: text.clone(),
            answers: vec![(text.clone(), text.clone()); 3],
            control: Some(button(&text, Control::Log)),
        });
        let body: Vec<Piece> = [
            Piece::Heading(text.clone()),
            Piece::Small(text.clone()),
            Piece::Text(vec![]),
            Piece::Text(vec![Span::Bold(text.clone()), Span::Code(text.clone())]),
            Piece::Buttons(vec![]),
            Piece::Buttons(vec![button(&text, Control::Resume); 30]),
        ]
        .into_iter()
        .chain(vec![entry; 60])
        .collect();
        hold_view(&home(&Home { body: body.clone() }));
        let told = whisper(&Whisper { replaces: true, body });
        hold_message(told["text"].as_str().unwrap(), told["blocks"].as_array().unwrap());
    }
}

#[test]
fn long_texts_end_in_an_ellipsis() {
    let text = "x".repeat(5000);
    let note = Card::Note(Note { text: text.clone(), controls: vec![button(&text, Control::Log)] });
    let look = &card(&note)[0];
    assert!(look.text.ends_with('…'));
    let shown = drawn(&look.blocks);
    assert_eq!(shown.matches('…').count(), 2, "{shown}");
    let view = modal(&Modal::Loading { title: text });
    assert_eq!(view["title"]["text"], json!(format!("{}…", "x".repeat(23))));
}
