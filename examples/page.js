// The page that every example serves, so that each app.js shows its framework and nothing else.

/** HTML that tries the app's routes. */
export function page(framework) {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${framework} on Portico</title>
<style>
  :root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); --accent: #0b6e6e; }
  @media (prefers-color-scheme: dark) { :root { --accent: #58c4c0; } }
  body { font: 1rem/1.55 system-ui, sans-serif; max-width: 40rem; margin: 0 auto; padding: 2.5rem 1.25rem; }
  h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .25rem; }
  p { margin: 0 0 1.5rem; }
  section { border-top: 1px solid var(--line); padding: 1rem 0; display: grid; gap: .5rem; }
  h2 { font-size: 1rem; margin: 0; }
  form { display: flex; flex-wrap: wrap; gap: .5rem; }
  input { flex: 1 1 12rem; min-width: 0; }
  input, button { font: inherit; padding: .5rem .75rem; border: 1px solid var(--line); border-radius: .4rem; background: transparent; color: inherit; }
  button { border-color: var(--accent); color: var(--accent); cursor: pointer; }
  :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
  pre { margin: 0; padding: .75rem; min-height: 1.5em; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line); border-radius: .4rem; font-size: .875rem; }
  a { color: var(--accent); }
</style>
<h1>${framework} on Portico</h1>
<p>An ordinary ${framework} app: it knows nothing of the edge in front of it.</p>
<section>
  <h2>JSON</h2>
  <form data-method="GET" action="/api/hello"><input name="name" value="world" aria-label="Name"><button>GET /api/hello</button></form>
  <pre aria-live="polite"></pre>
</section>
<section>
  <h2>A form</h2>
  <form data-method="POST" action="/api/echo"><input name="text" value="Send me back" aria-label="Text"><button>POST /api/echo</button></form>
  <pre aria-live="polite"></pre>
</section>
<section>
  <h2>A stream</h2>
  <form data-method="GET" action="/api/stream"><button>GET /api/stream</button></form>
  <pre aria-live="polite"></pre>
</section>
<section>
  <h2>An error</h2>
  <form data-method="GET" action="/error"><button>GET /error</button></form>
  <pre aria-live="polite"></pre>
</section>
<script type="module">
  for (const form of document.forms) form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const out = form.nextElementSibling;
    const fields = new URLSearchParams(new FormData(form));
    const isPost = form.dataset.method === 'POST';
    const url = form.getAttribute('action') + (isPost || !fields.size ? '' : '?' + fields);
    const response = await fetch(url, isPost ? { method: 'POST', body: fields } : {});
    out.textContent = response.status + ' ' + response.statusText + '\\n';
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      out.textContent += value;
    }
  });
</script>
</html>
`;
}

/** Five lines, one every 300 ms: what the examples stream. */
export async function* lines() {
  for (let line = 1; line <= 5; line++) {
    yield `line ${line} from process ${process.pid}\n`;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}
