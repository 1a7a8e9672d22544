// A form that starts a job, a button that stops it, and a line that says where it is.

import { stream } from "./net.js";

/** Read a form: numbers as numbers, an empty number as null. */
export function settings(form) {
  const read = {};
  for (const field of form.elements) {
    if (!field.name) continue;
    const number = field.type === "number" || /^\d+$/.test(field.value) && field.tagName === "SELECT";
    read[field.name] = !number ? field.value : field.value === "" ? null : Number(field.value);
  }
  return read;
}

/** Show a line of text below a form. */
export function say(form, text, wrong = false) {
  let line = form;
  while (!line.matches(".status")) line = line.nextElementSibling;
  line.textContent = text;
  line.classList.toggle("wrong", wrong);
}

/** Start `path` with the form's settings when it is sent; `more` adds settings, `begin` clears, `take` shows an event. */
export function job(form, path, { begin, take, more = () => ({}) }) {
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
      begin();
      for await (const each of stream(path, { ...settings(form), ...more() }, running.signal)) {
        if (each.error) throw new Error(each.error);
        if (each.waiting) say(form, `Waiting for ${each.waiting === 1 ? "another job" : `${each.waiting} other jobs`} to end.`);
        else if (each.status) say(form, each.status);
        else last = take(each) || last;
        if (each.of && each.done < each.of) say(form, `${each.done} of ${each.of}, about ${left(began, each.done / each.of)} left.`);
      }
      last ||= "Done.";
    } catch (error) {
      wrong = error.name !== "AbortError";
      last = wrong ? error.message : "Stopped.";
    }
    say(form, last, wrong);
    running = null;
    start.disabled = false;
    stop.disabled = true;
    if (document.activeElement === document.body) start.focus();  // the button that had the focus is disabled now
  });
}

function left(began, share) {
  const seconds = (performance.now() - began) / 1000 * (1 - share) / share;
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
