//! Messages and views as readable text, for tests: what is shown, in the order it is read.
//!
//! Buttons stand in brackets, chosen options carry a mark, input fields show what is in them.

use serde_json::Value;

use super::state::{Message, View};

/// A message, its blocks if it has any, else its text.
pub fn message(message: &Message) -> String {
    match message.blocks.as_array() {
        Some(blocks) if !blocks.is_empty() => lines(blocks, None),
        _ => unescaped(&message.text),
    }
}

/// A modal or Home tab with its title and buttons.
pub fn view(view: &View) -> String {
    let body = &view.body;
    let blocks = body["blocks"].as_array().map(|blocks| lines(blocks, Some(view)));
    let title = body["title"]["text"].as_str().map(|title| format!("# {title}"));
    let submit = body["submit"]["text"].as_str().map(|submit| format!("[{submit}]"));
    let parts = [title, blocks, submit];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

fn lines(blocks: &[Value], view: Option<&View>) -> String {
    let parts: Vec<String> =
        blocks.iter().map(|shown| block(shown, view)).filter(|line| !line.is_empty()).collect();
    parts.join("\n")
}

fn block(block: &Value, view: Option<&View>) -> String {
    match block["type"].as_str().unwrap_or_default() {
        "header" => format!("# {}", text(&block["text"])),
        "divider" => "---".to_owned(),
        "section" => {
            let fields = block["fields"].as_array().into_iter().flatten().map(text);
            let accessory = Some(element(&block["accessory"])).filter(|line| !line.is_empty());
            let mut parts: Vec<String> = vec![text(&block["text"])];
            parts.extend(fields);
            parts.extend(accessory);
            parts.retain(|part| !part.is_empty());
            parts.join(" ")
        }
        "context" => format!("({})", each(&block["elements"], text, " ")),
        "actions" => each(&block["elements"], element, " "),
        "input" => field(block, view),
        "rich_text" => each(&block["elements"], rich, "\n"),
        "data_visualization" => chart(block),
        "alert" => format!("! {}", text(&block["text"])),
        "" => String::new(),
        other => format!("<{other}>"),
    }
}

fn each(list: &Value, show: impl Fn(&Value) -> String, between: &str) -> String {
    let shown = list.as_array().into_iter().flatten().map(show);
    shown.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(between)
}

fn text(object: &Value) -> String {
    let raw = object["text"].as_str().unwrap_or_default();
    if object["type"] == "mrkdwn" { unescaped(raw) } else { raw.to_owned() }
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

fn element(element: &Value) -> String {
    match element["type"].as_str().unwrap_or_default() {
        "button" => format!("[{}]", text(&element["text"])),
        "overflow" => format!("[… {}]", options(element, " | ")),
        "" => String::new(),
        _ => format!("[{}]", options(element, " | ")),
    }
}

fn options(element: &Value, between: &str) -> String {
    let mut chosen: Vec<&Value> =
        element["initial_options"].as_array().into_iter().flatten().collect();
    chosen.push(&element["initial_option"]);
    let label = |option: &Value| {
        let is_chosen = chosen.iter().any(|one| one["value"] == option["value"]);
        format!("{}{}", if is_chosen { "✓ " } else { "" }, text(&option["text"]))
    };
    each(&element["options"], label, between)
}

fn field(block: &Value, view: Option<&View>) -> String {
    let element = &block["element"];
    let optional = if block["optional"] == true { " (optional)" } else { "" };
    let key = |id: &str| block[id].as_str().unwrap_or_default().to_owned();
    let action = element["action_id"].as_str().unwrap_or_default().to_owned();
    let typed = view.and_then(|view| view.typed.get(&(key("block_id"), action)));
    let content = match (element["type"].as_str(), typed) {
        (_, Some(typed)) => super::driver::in_words(typed),
        (Some("plain_text_input"), None) => {
            let value = element["initial_value"].as_str().unwrap_or_default();
            format!("[{value}]")
        }
        (Some("datepicker"), None) => {
            format!("[{}]", element["initial_date"].as_str().unwrap_or("date"))
        }
        _ => format!("[{}]", options(element, " | ")),
    };
    format!("{}{optional}: {content}", text(&block["label"]))
}

fn rich(element: &Value) -> String {
    match element["type"].as_str().unwrap_or_default() {
        "rich_text_list" => each(&element["elements"], |item| format!("• {}", rich(item)), "\n"),
        "rich_text_quote" => format!("> {}", each(&element["elements"], run, "")),
        _ => each(&element["elements"], run, ""),
    }
}

fn run(run: &Value) -> String {
    let words = run["text"].as_str().unwrap_or_default();
    if run["style"]["bold"] == true { format!("*{words}*") } else { words.to_owned() }
}

fn chart(block: &Value) -> String {
    let chart = &block["chart"];
    let title = block["title"].as_str().unwrap_or_default();
    let series = each(
        &chart["series"],
        |series| {
            let points = each(
                &series["data"],
                |point| {
                    format!("{} {}", point["label"].as_str().unwrap_or_default(), point["value"])
                },
                ", ",
            );
            format!("  {}: {points}", series["name"].as_str().unwrap_or_default())
        },
        "\n",
    );
    format!("<chart {title}>\n{series}")
}
