// Block Kit to DOM nodes.
//
// `context` brings: names (id to name), act(action) for what is pressed, fields (a Map of what is
// filled in, kept across redraws) and errors (a line for each block id).

import { chart } from "./chart.js";
import { el, link, mrkdwn, textObject, withBreaks } from "./text.js";

export function blocks(list, context) {
  return (list ?? []).map((block) => {
    const draw = BLOCKS[block.type] ?? unknown;
    const node = draw(block, context);
    node.classList.add("block");
    return node;
  });
}

const BLOCKS = {
  header: (block) => el("h3", {}, block.text.text),
  divider: () => el("hr"),
  section: (block, context) => el("div", { class: "section" },
    el("div", {},
      el("p", {}, textObject(block.text, context.names)),
      block.fields && el("div", { class: "columns" },
        block.fields.map((field) => el("p", {}, textObject(field, context.names))))),
    block.accessory && element(block.accessory, block, context)),
  context: (block, context) => el("p", { class: "small" },
    block.elements.flatMap((part, at) => [
      at > 0 ? " " : null,
      ...(part.type === "image" ? [image(part)] : textObject(part, context.names)),
    ])),
  actions: (block, context) => el("div", { class: "actions" },
    block.elements.map((one) => element(one, block, context))),
  input: field,
  rich_text: (block, context) => el("div", {}, block.elements.map((part) => rich(part, context))),
  image: (block) => el("figure", {}, image(block)),
  markdown: (block, context) => el("div", {}, mrkdwn(block.text, context.names)),
  data_visualization: chart,
  data_table: table,
  table,
  alert: (block, context) => el("p", { class: `alert ${block.level ?? ""}`, role: "alert" },
    textObject(block.text, context.names)),
  card: (block, context) => el("div", { class: "card" },
    ["title", "subtitle", "body"].filter((key) => block[key]).map((key) => el("p", { class: key },
      typeof block[key] === "string" ? block[key] : textObject(block[key], context.names))),
    block.actions && el("div", { class: "actions" },
      block.actions.map((one) => element(one, block, context)))),
};

function unknown(block) {
  return el("p", { class: "small" }, `(a block of type ${block.type} that this page cannot show)`);
}

function image(part) {
  return el("span", { class: "small" }, `[picture: ${part.alt_text ?? ""}]`);
}

function table(block, context) {
  const cell = (one) => (one?.type === "rich_text"
    ? one.elements.map((part) => rich(part, context))
    : withBreaks(String(one?.text ?? one?.value ?? "")));
  const rows = block.rows ?? [];
  return el("table", {}, rows.map((row, at) => el("tr", {},
    (row.cells ?? row).map((one) => el(at === 0 ? "th" : "td", {}, cell(one))))));
}

// Rich text: sections, lists, quotes, code.
function rich(part, context) {
  const runs = (elements) => elements.flatMap((one) => run(one, context));
  switch (part.type) {
    case "rich_text_list":
      return el(part.style === "ordered" ? "ol" : "ul", {},
        part.elements.map((item) => el("li", {}, runs(item.elements))));
    case "rich_text_quote": return el("blockquote", {}, runs(part.elements));
    case "rich_text_preformatted": return el("pre", {}, runs(part.elements));
    default: return el("p", {}, runs(part.elements ?? []));
  }
}

const RUN_TAGS = { bold: "strong", italic: "em", strike: "s", code: "code" };

function run(one, context) {
  let nodes;
  if (one.type === "link") nodes = [link(one.url, one.text ?? one.url)];
  else if (one.type === "user") {
    nodes = [el("span", { class: "mention" }, `@${context.names[one.user_id] ?? one.user_id}`)];
  } else if (one.type === "emoji") nodes = [document.createTextNode(`:${one.name}:`)];
  else if (one.type === "date") nodes = [document.createTextNode(one.fallback ?? "")];
  else nodes = withBreaks(one.text);
  for (const [style, tag] of Object.entries(RUN_TAGS)) {
    if (one.style?.[style]) nodes = [el(tag, {}, nodes)];
  }
  return nodes;
}

// Something that acts as soon as it is used.
function element(one, block, context) {
  const act = async (node, chosen) => {
    if (one.confirm && !window.confirm(`${one.confirm.title.text}\n${one.confirm.text.text}`)) return;
    node.classList.add("busy");
    await context.act({
      type: one.type, block_id: block.block_id, action_id: one.action_id, ...chosen,
    });
    node.classList.remove("busy");
  };
  switch (one.type) {
    case "button": {
      const label = one.accessibility_label ?? one.text.text;
      if (one.url) return link(one.url, one.text.text);
      return el("button", {
        type: "button", class: one.style ?? "", "aria-label": label,
        onclick: ({ currentTarget }) => act(currentTarget, { value: one.value, text: one.text }),
      }, one.text.text);
    }
    case "overflow": {
      const menu = el("details", { class: "overflow" },
        el("summary", { "aria-label": "More" }, "⋯"),
        el("div", {}, one.options.map((option) => el("button", {
          type: "button", onclick: () => {
            menu.open = false;
            act(menu, { selected_option: option });
          },
        }, option.text.text))));
      return menu;
    }
    case "static_select":
    case "radio_buttons":
    case "checkboxes":
    case "datepicker":
      return input(one, block, context, (chosen, node) => act(node, chosen));
    default: return unknown(one);
  }
}

// A field of a form, with its label, hint and error.
function field(block, context) {
  const one = block.element;
  const changed = (chosen, node) => {
    if (!block.dispatch_action) return;
    node.classList.add("busy");
    context.act({ type: one.type, block_id: block.block_id, action_id: one.action_id, ...chosen })
      .finally(() => node.classList.remove("busy"));
  };
  const error = context.errors?.[block.block_id];
  const label = [block.label.text, block.optional ? el("small", {}, " optional") : null];
  const single = ["plain_text_input", "static_select", "datepicker"].includes(one.type);
  const parts = [
    input(one, block, context, changed),
    error && el("p", { class: "error", role: "alert" }, error),
    block.hint && el("p", { class: "small" }, block.hint.text),
  ];
  return single
    ? el("label", { class: "field" }, el("span", { class: "label" }, label), parts)
    : el("fieldset", { class: "field" }, el("legend", { class: "label" }, label), parts);
}

// The control itself. What it holds lives in context.fields, so that a redraw does not lose it.
function input(one, block, context, changed) {
  const key = `${block.block_id} ${one.action_id}`;
  const held = context.fields.get(key) ?? initial(one);
  context.fields.set(key, held);
  const set = (chosen, node) => {
    context.fields.set(key, { type: one.type, ...chosen });
    changed(chosen, node);
  };
  const shared = { "data-key": key };
  switch (one.type) {
    case "plain_text_input": {
      const counter = one.max_length ? el("small", { class: "counter" }) : null;
      const count = (text) => {
        if (counter) counter.textContent = `${[...text].length} / ${one.max_length}`;
      };
      const box = el(one.multiline ? "textarea" : "input", {
        ...shared, value: held.value ?? "", maxLength: one.max_length ?? 3000,
        placeholder: one.placeholder?.text ?? "", rows: one.multiline ? 3 : undefined,
        oninput: ({ currentTarget: { value } }) => {
          context.fields.set(key, { type: one.type, value: value || null });
          count(value);
        },
      });
      count(held.value ?? "");
      return el("span", { class: "text" }, box, counter);
    }
    case "datepicker":
      return el("input", {
        ...shared, type: "date", value: held.selected_date ?? "",
        onchange: ({ currentTarget: node }) => set({ selected_date: node.value || null }, node),
      });
    case "static_select": {
      const options = one.options ?? one.option_groups.flatMap((group) => group.options);
      return el("select", {
        ...shared,
        onchange: ({ currentTarget: node }) => set(
          { selected_option: options.find((option) => option.value === node.value) ?? null }, node),
      },
      el("option", { value: "" }, one.placeholder?.text ?? "Choose"),
      options.map((option) => el("option", {
        value: option.value, selected: option.value === held.selected_option?.value,
      }, option.text.text)));
    }
    default: return choices(one, key, held, set);
  }
}

function choices(one, key, held, set) {
  const many = one.type === "checkboxes";
  const chosen = many ? held.selected_options ?? [] : [held.selected_option].filter(Boolean);
  const group = el("span", { class: "choices" }, one.options.map((option) => el("label", {},
    el("input", {
      type: many ? "checkbox" : "radio", name: key, value: option.value,
      "data-key": `${key} ${option.value}`,
      checked: chosen.some((one) => one.value === option.value),
      onchange: () => {
        const ticked = [...group.querySelectorAll("input:checked")].map((box) => box.value);
        const picked = one.options.filter((option) => ticked.includes(option.value));
        set(many ? { selected_options: picked } : { selected_option: picked[0] ?? null }, group);
      },
    }),
    el("span", {}, option.text.text))));
  return group;
}

// What a field holds before anybody touches it.
export function initial(one) {
  switch (one.type) {
    case "plain_text_input": return { type: one.type, value: one.initial_value ?? null };
    case "datepicker": return { type: one.type, selected_date: one.initial_date ?? null };
    case "checkboxes": return { type: one.type, selected_options: one.initial_options ?? [] };
    default: return { type: one.type, selected_option: one.initial_option ?? null };
  }
}

// state.values, as Slack sends it.
export function values(list, fields) {
  const state = {};
  for (const block of list ?? []) {
    const one = block.element;
    if (block.type !== "input" || !one) continue;
    const held = fields.get(`${block.block_id} ${one.action_id}`) ?? initial(one);
    state[block.block_id] = { [one.action_id]: held };
  }
  return state;
}
