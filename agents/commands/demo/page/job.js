// A form that starts a job, a button that stops it, and a line that says where it is.

import { stream } from "./net.js";

/** Read a form: numbers as numbers. Throw an Error that names the first wrong field, and move the focus to it. */
export function settings(form) {
  const read = {}, fields = [...form.elements].filter((field) => field.name);
  for (const field of fields) field.removeAttribute("aria-invalid");
  for (const field of fields) {
    if (!field.checkValidity()) {
      field.setAttribute("aria-invalid", "true");
      field.focus();
      throw new Error(rule(field));
    }
    const number = field.type === "number" || /^\d+$/.test(field.value) && field.tagName === "SELECT";
    read[field.name] = number ? Number(field.value) : field.value;
  }
  return read;
}

function rule({ labels, min, max, value, validity }) {
  const found = value ? `got ${value}` : validity.badInput ? "and it is no number" : "and it is missing";
  return `${labels[0].firstChild.textContent.trim()} must be a whole number from ${min} to ${max}, ${found}.`;
}

/** Show a line of text below a form. */
export function say(form, text, wrong = false) {
  let line = form;
  while (!line.matches(".status")) line = line.nextElementSibling;
  line.textContent = text;
  line.classList.toggle("wrong", wrong);
}

/**
 * Start `path` with the form's settings when it is sent. `more` adds settings, `begin` clears what the last job left,
 * `take` shows an event and may return the last line, and `unit` says what is counted.
 */
export function job(form, path, { begin, take, more = () => ({}), unit = "" }) {
  const stop = form.querySelector(".stop"), start = form.querySelector("[type=submit]");
  let running = null;
  stop.addEventListener("click", () => running?.abort());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running) return;
    running = new AbortController();
    start.disabled = true;
    stop.disabled = false;
    const began = performance.now();
    let last = "", wrong = false;
    say(form, "Started.");
    try {
      const chosen = { ...settings(form), ...more() };
      begin();
      for await (const each of stream(path, chosen, running.signal)) {
        if (each.error) throw new Error(each.error);
        if (each.waiting) say(form, `Waiting for ${each.waiting === 1 ? "another job" : `${each.waiting} other jobs`} to end.`);
        else if (each.status) say(form, each.status);
        else last = take(each) || last;
        if (each.of && each.done < each.of) say(form, `${each.done} of ${each.of} ${unit}, about ${left(began, each.done / each.of)} left.`);
      }
      last ||= "Done.";
    } catch (error) {
      wrong = error.name !== "AbortError";
      last = wrong ? error.message : "Stopped.";
    }
    say(form, last, wrong);
    running = null;
    start.disabled = false;
    if ([stop, document.body].includes(document.activeElement)) start.focus();  // a button that is disabled loses the focus
    stop.disabled = true;
  });
}

function left(began, share) {
  const seconds = (performance.now() - began) / 1000 * (1 - share) / share;
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
