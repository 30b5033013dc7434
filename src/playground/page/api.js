// The calls to the server, and the stream that says when something has changed.

export async function get(path) {
  const answer = await fetch(`/play/${path}`);
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return answer.json();
}

export async function post(path, body) {
  const answer = await fetch(`/play/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return answer.json();
}

// Calls `changed` at every change, `lost` when the server is gone and `back` when it is there again.
export function follow({ changed, lost, back }) {
  const events = new EventSource("/play/events");
  let gone = false;
  events.onmessage = () => {
    if (gone) back();
    gone = false;
    changed();
  };
  events.onerror = () => {
    gone = true;
    lost();
  };
}
