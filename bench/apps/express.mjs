// Express 5 hello, for the benchmark.

import express from 'express';

export const app = express();
app.get('/', (_req, res) => {
  res.type('text/plain').send('Hello, world!\n');
});
