// The Node app of docker-compose.yml: notes in Postgres. Its page and style sheet are public/, which the edge serves.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import pg from 'pg';

const { PGHOST, PGPASSWORD_FILE } = process.env;
const noteBytesMax = 10_000;

/** PGHOST, PGUSER and the like are read by the driver itself. A worker takes few connections: there are several. */
const pool = new pg.Pool({
  max: 5,
  connectionTimeoutMillis: 5_000,
  ...(PGPASSWORD_FILE ? { password: () => readFileSync(PGPASSWORD_FILE, 'utf8').trim() } : {}),
});
pool.on('error', (error) => console.error('lost a connection to the database:', error.message));

if (PGHOST) {
  // Several workers start at once, and CREATE TABLE IF NOT EXISTS alone is no guard against that.
  await pool.query(`
    SELECT pg_advisory_lock(1);
    CREATE TABLE IF NOT EXISTS notes (id bigserial PRIMARY KEY, text text NOT NULL);
    SELECT pg_advisory_unlock(1);`);
}

const routes = {
  async 'GET /notes'() {
    const { rows } = await pool.query('SELECT id, text FROM notes ORDER BY id DESC LIMIT 20');
    return { status: 200, body: rows };
  },
  async 'POST /notes'(request) {
    const { text } = JSON.parse(await read(request));
    if (typeof text !== 'string' || text === '') return { status: 400, body: { error: 'no text' } };
    const { rows } = await pool.query('INSERT INTO notes (text) VALUES ($1) RETURNING id', [text]);
    return { status: 201, body: rows[0] };
  },
  // For monitoring: /-/readyz says whether Portico is well, this whether the database is too.
  async 'GET /health'() {
    await pool.query('SELECT 1');
    return { status: 200, body: { ok: true } };
  },
};

export const app = createServer(async (request, response) => {
  const route = routes[`${request.method} ${request.url}`];
  const { status, body } = await (route ? answer(route, request) : { status: 404, body: {} });
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
});

async function answer(route, request) {
  try {
    return await route(request);
  } catch (error) {
    console.error(error.message);
    return { status: error instanceof SyntaxError ? 400 : 503, body: { error: 'try again' } };
  }
}

async function read(request) {
  let text = '';
  for await (const piece of request.setEncoding('utf8')) {
    text += piece;
    if (text.length > noteBytesMax) throw new SyntaxError('too much');
  }
  return text;
}
