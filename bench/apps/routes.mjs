// The app of the benchmark: the same request handler for every server.

const json = JSON.stringify({
  items: Array.from({ length: 80 }, (_, id) => ({
    id,
    name: `item ${id}`,
    price: id * 1.25,
    tags: ['alpha', 'beta', 'gamma'],
    text: 'The quick brown fox jumps over the lazy dog.',
  })),
});
// 50 MB of JSON lines, a piece of 64 KB at a time.
const lines = Buffer.from(
  Array.from({ length: 1100 }, (_, id) =>
    JSON.stringify({ id, hash: (id * 2654435761) % 4294967296, text: 'The quick brown fox.' }),
  ).join('\n'),
);
const linesTimes = Math.ceil((50 * 1024 * 1024) / lines.length);
const megabyte = Buffer.alloc(1024 * 1024, 'portico ');

export function app(req, res) {
  switch (req.url) {
    case '/json':
      res.setHeader('Content-Type', 'application/json; charset=utf-8');
      res.end(json);
      return;
    case '/second':
      res.setHeader('Cache-Control', 'public, max-age=1');
      res.setHeader('Content-Type', 'text/plain; charset=utf-8');
      res.end('Hello, world!\n');
      return;
    case '/second.json':
      res.setHeader('Cache-Control', 'public, max-age=1');
      res.setHeader('Content-Type', 'application/json; charset=utf-8');
      res.end(json);
      return;
    case '/megabyte':
      res.setHeader('Content-Type', 'application/octet-stream');
      res.end(megabyte);
      return;
    case '/large': {
      res.setHeader('Content-Type', 'application/json');
      let left = linesTimes;
      const fill = () => {
        while (left-- > 0) if (!res.write(lines)) return res.once('drain', fill);
        res.end();
      };
      fill();
      return;
    }
    case '/post': {
      let bytes = 0;
      req.on('data', (chunk) => {
        bytes += chunk.length;
      });
      req.on('end', () => {
        res.setHeader('Content-Type', 'text/plain; charset=utf-8');
        res.end(`${bytes}\n`);
      });
      return;
    }
    default:
      res.setHeader('Content-Type', 'text/plain; charset=utf-8');
      res.end('Hello, world!\n');
  }
}
