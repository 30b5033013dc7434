// Text to DOM nodes. Nothing here ever becomes markup: every word ends in a text node.

export function el(name, props = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") node.className = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key in node && key !== "list") node[key] = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export function link(address, label) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return document.createTextNode(label);
  }
  if (!["http:", "https:", "mailto:"].includes(url.protocol)) return document.createTextNode(label);
  return el("a", { href: url.href, target: "_blank", rel: "noopener noreferrer" }, label);
}

// A text object: plain or mrkdwn.
export function textObject(object, names) {
  if (!object) return [];
  return object.type === "mrkdwn" ? mrkdwn(object.text, names) : withBreaks(object.text);
}

export function withBreaks(text) {
  const nodes = [];
  (text ?? "").split("\n").forEach((line, at) => {
    if (at > 0) nodes.push(el("br"));
    if (line) nodes.push(document.createTextNode(line));
  });
  return nodes;
}

// Slack's markup, as far as bots use it.
export function mrkdwn(text, names = {}) {
  const nodes = [];
  for (const [at, part] of (text ?? "").split(/```([\s\S]*?)```/).entries()) {
    if (at % 2 === 1) {
      nodes.push(el("pre", {}, entities(part.replace(/^\n/, ""))));
      continue;
    }
    let quote = null;
    part.split("\n").forEach((line, number, lines) => {
      const quoted = line.match(/^&gt; ?(.*)$/) ?? line.match(/^> ?(.*)$/);
      if (quoted) {
        if (!quote) nodes.push((quote = el("blockquote")));
        else quote.append(el("br"));
        quote.append(...inline(quoted[1], names));
        return;
      }
      quote = null;
      nodes.push(...inline(line, names));
      if (number < lines.length - 1) nodes.push(el("br"));
    });
  }
  return nodes;
}

const STYLES = [
  [/`([^`\n]+)`/, "code"],
  [/(?<![\w*])\*([^*\n]+)\*(?![\w*])/, "strong"],
  [/(?<!\w)_([^_\n]+)_(?!\w)/, "em"],
  [/(?<![\w~])~([^~\n]+)~(?![\w~])/, "s"],
];

function inline(text, names) {
  const marked = text.match(/<([^<>]+)>/);
  if (marked) {
    return [
      ...inline(text.slice(0, marked.index), names),
      special(marked[1], names),
      ...inline(text.slice(marked.index + marked[0].length), names),
    ];
  }
  const found = STYLES.map(([pattern, tag]) => ({ tag, at: text.match(pattern) }))
    .filter(({ at }) => at)
    .sort((a, b) => a.at.index - b.at.index)[0];
  if (!found) return text ? [document.createTextNode(entities(text))] : [];
  const { tag, at } = found;
  const inside = tag === "code" ? [entities(at[1])] : inline(at[1], names);
  return [
    ...inline(text.slice(0, at.index), names),
    el(tag, {}, inside),
    ...inline(text.slice(at.index + at[0].length), names),
  ];
}

// What stands between < and >.
function special(body, names) {
  const [target, label] = body.split("|", 2);
  if (target.startsWith("@")) {
    return el("span", { class: "mention" }, `@${names[target.slice(1)] ?? label ?? target.slice(1)}`);
  }
  if (target.startsWith("!date")) return document.createTextNode(label ?? "");
  if (target.startsWith("!")) return document.createTextNode(`@${label ?? target.slice(1)}`);
  if (target.startsWith("#")) return document.createTextNode(`#${label || target.slice(1)}`);
  return link(entities(target), entities(label ?? target));
}

function entities(text) {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}
