// Modals: one dialog that shows the topmost view of the stack.
//
// A view that is updated while it is open keeps what was typed where block and action id stay.

import { post } from "./api.js";
import { blocks, values } from "./blocks.js";
import { el } from "./text.js";

export class Modal {
  constructor(dialog, { say }) {
    this.dialog = dialog;
    this.say = say;
    this.view = null;
    this.fields = new Map();
    this.errors = {};
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.close();
    });
  }

  // Shows the topmost of `stack` to `person`, or nothing.
  show(person, stack, names) {
    const view = stack.at(-1) ?? null;
    this.person = person;
    this.names = names;
    if (!view) {
      if (this.dialog.open) this.dialog.close();
      this.view = null;
      return;
    }
    const same = this.view?.id === view.id;
    if (same && this.view.hash === view.hash && this.dialog.open) return;
    if (!same) this.fields = new Map();
    this.errors = {};
    this.view = view;
    this.keepFields();
    this.draw();
    if (!this.dialog.open) this.dialog.showModal();
    if (!same) this.focusFirst();
  }

  keepFields() {
    const known = (this.view.blocks ?? []).filter((block) => block.element)
      .map((block) => `${block.block_id} ${block.element.action_id}`);
    for (const key of this.fields.keys()) {
      if (!known.includes(key)) this.fields.delete(key);
    }
  }

  draw() {
    const active = document.activeElement?.dataset?.key;
    const at = document.activeElement?.selectionStart;
    const top = this.dialog.querySelector(".body")?.scrollTop ?? 0;
    const context = {
      names: this.names, fields: this.fields, errors: this.errors,
      act: (action) => this.act(action),
    };
    const { view } = this;
    this.dialog.replaceChildren(el("form", {
      onsubmit: (event) => {
        event.preventDefault();
        this.submit();
      },
    },
    el("header", {}, el("h2", { id: "modal-title" }, view.title?.text ?? ""),
      el("button", { type: "button", class: "quiet", "aria-label": "Close", onclick: () => this.close() }, "✕")),
    el("div", { class: "body" }, blocks(view.blocks, context)),
    el("footer", {},
      el("button", { type: "button", onclick: () => this.close() }, view.close?.text ?? "Close"),
      view.submit && el("button", { type: "submit", class: "primary" }, view.submit.text))));
    this.dialog.querySelector(".body").scrollTop = top;
    const back = active && this.dialog.querySelector(`[data-key="${CSS.escape(active)}"]`);
    if (back) {
      back.focus({ preventScroll: true });
      if (at !== undefined && at !== null && back.setSelectionRange && back.type !== "date") {
        back.setSelectionRange(at, at);
      }
    }
  }

  focusFirst() {
    this.dialog.querySelector(".body input, .body textarea, .body select, .body button")?.focus();
  }

  async act(action) {
    const { acked, ok, error } = await post("action", {
      as: this.person, container: { type: "view", view_id: this.view.id }, action,
      values: values(this.view.blocks, this.fields),
    });
    if (!ok) this.say(error);
    else if (!acked) this.say("The app did not respond.");
  }

  async submit() {
    if (!this.view?.submit) return;
    const button = this.dialog.querySelector("button[type=submit]");
    button.disabled = true;
    button.classList.add("busy");
    const answer = await post("submit", {
      as: this.person, view_id: this.view.id, values: values(this.view.blocks, this.fields),
    });
    button.disabled = false;
    button.classList.remove("busy");
    if (answer.timeout) this.say("The app did not respond. What you typed is still here.");
    if (answer.error) this.say(answer.error);
    if (!answer.ok) {
      this.errors = answer.errors ?? {};
      this.draw();
      this.dialog.querySelector(".error")?.scrollIntoView({ block: "center" });
    }
  }

  async close() {
    if (!this.view) return;
    await post("close", { as: this.person, view_id: this.view.id });
  }
}
