const list = document.querySelector('ul');
const form = document.querySelector('form');

async function show() {
  const notes = await (await fetch('/notes')).json();
  list.replaceChildren(
    ...notes.map(({ text }) => Object.assign(document.createElement('li'), { textContent: text })),
  );
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const text = new FormData(form).get('text');
  await fetch('/notes', { method: 'POST', body: JSON.stringify({ text }) });
  form.reset();
  await show();
});

await show();
const { replica } = await (await fetch('/api/whoami')).json();
document.querySelector('#api').textContent = `The API answered from ${replica}.`;
