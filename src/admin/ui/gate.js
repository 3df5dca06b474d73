// The way in where the admin listener wants a token.

import { token } from "./api.js";
import { attribute, h, text } from "./dom.js";

/** `enter()` is called when a token was given. */
export function gate(enter) {
  const field = h("input", { type: "password", id: "token", autocomplete: "off", spellcheck: "false", maxlength: 4096, required: true });
  const said = h("p", { class: "complaint", role: "alert" });
  const form = h(
    "form",
    { class: "gate", hidden: true },
    h("h2", {}, "A token, please"),
    h("p", { class: "quiet" }, "This logboom shows its data to those who have its bearer token. It is kept in this tab until it is closed, and sent nowhere else."),
    h("label", { for: "token" }, "Token"),
    field,
    said,
    h("button", { type: "submit" }, "Enter"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    token.set(field.value.trim());
    field.value = "";
    attribute(form, "hidden", true);
    enter();
  });
  document.body.append(form);
  return {
    isOpen: () => !form.hidden,
    open() {
      if (!form.hidden) return;
      text(said, token.get() ? "That token was not accepted." : "");
      token.set(null);
      attribute(form, "hidden", false);
      field.focus();
    },
  };
}
