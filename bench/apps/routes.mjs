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
const megabyte = Buffer.alloc(1024 * 1024, 'portico ');

export function app(req, res) {
  switch (req.url) {
    case '/json':
      res.setHeader('Content-Type', 'application/json; charset=utf-8');
      res.end(json);
      return;
    case '/megabyte':
      res.setHeader('Content-Type', 'application/octet-stream');
      res.end(megabyte);
      return;
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
