// Asks /api/whoami again and again, and counts who answers.

const list = document.querySelector('#workers');
const latest = document.querySelector('#latest');
const toggle = document.querySelector('#toggle');
const pid = document.querySelector('#pid');
const arbiter = document.querySelector('#arbiter');

/** By worker number: what it answered, and its row on the page. */
const workers = new Map();
let isRunning = true;
let timer = 0;

async function ask() {
  try {
    const response = await fetch('/api/whoami', { cache: 'no-store' });
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    show(await response.json());
  } catch (error) {
    latest.textContent = `No answer: ${error.message}`;
  }
}

function show(answer) {
  const worker = workers.get(answer.worker) ?? addWorker(answer.worker);
  worker.count += 1;
  const most = Math.max(...[...workers.values()].map(({ count }) => count));
  for (const { bar, count } of workers.values()) bar.style.transform = `scaleX(${count / most})`;
  worker.number.textContent = worker.count;
  worker.facts.textContent = `process ${answer.pid}, served ${answer.served} in ${answer.upSeconds} s, Node ${answer.node}`;
  for (const { row } of workers.values()) row.classList.toggle('answered', row === worker.row);
  pid.textContent = answer.pid;
  arbiter.textContent = answer.arbiter;
  latest.textContent = `Request ${answer.requestId ?? '–'} from ${answer.forwardedFor ?? 'you'}: worker ${answer.worker} answered.`;
}

function addWorker(number) {
  const row = document.createElement('li');
  row.innerHTML =
    '<b></b><span class="bar"><i></i></span><span class="count"></span><span class="facts"></span>';
  row.querySelector('b').textContent = `Worker ${number}`;
  const worker = {
    row,
    count: 0,
    bar: row.querySelector('i'),
    number: row.querySelector('.count'),
    facts: row.querySelector('.facts'),
  };
  workers.set(number, worker);
  const order = [...workers.keys()].sort((a, b) => a - b);
  list.replaceChildren(...order.map((key) => workers.get(key).row));
  return worker;
}

async function loop() {
  if (isRunning && !document.hidden) await ask();
  timer = setTimeout(loop, 600);
}

toggle.addEventListener('click', () => {
  isRunning = !isRunning;
  toggle.textContent = isRunning ? 'Pause' : 'Go on';
  toggle.setAttribute('aria-pressed', String(isRunning));
  clearTimeout(timer);
  loop();
});

document.querySelector('#burst').addEventListener('click', () => {
  for (let i = 0; i < 60; i++) ask();
});

document.querySelector('#slow').addEventListener('click', async (event) => {
  const button = event.currentTarget;
  button.disabled = true;
  button.textContent = 'One worker is occupied …';
  // One after another: whoever has the slow request is passed over by the others.
  for (let i = 0; i < 8; i++) await fetch('/api/slow', { cache: 'no-store' });
  button.disabled = false;
  button.textContent = 'Occupy one worker';
});

loop();
