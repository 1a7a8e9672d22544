// What the page asks of its server.

/** Send a request; return its JSON, or throw an Error that says in one sentence what is wrong. */
export async function post(path, body, headers = {}, signal = undefined) {
  const answer = await send(path, body, headers, signal);
  return answer.json();
}

/** Start a job with settings; yield its events as they come. */
export async function* stream(path, settings, signal) {
  const answer = await send(path, JSON.stringify(settings), { "content-type": "application/json" }, signal);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

async function send(path, body, headers, signal) {
  let answer;
  try {
    answer = await fetch(path, { method: "POST", body, headers, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is `handlatent demo` still running?");
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({ error: `The server answers ${answer.status}; its terminal says why.` }));
  throw new Error(said.error);
}
