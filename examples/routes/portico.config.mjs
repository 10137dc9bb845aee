// One door for two servers: the app's pages and an API that runs elsewhere.
//
//   node examples/routes/api.mjs &
//   node dist/main.js --config examples/routes/portico.config.mjs
//
// `node dist/main.js routes --config examples/routes/portico.config.mjs` prints the table.

export default {
  chdir: import.meta.dirname,
  app: 'web.mjs',
  bind: process.env.BIND ?? '127.0.0.1:8000',
  workers: 1,
  routes: [
    // The API: any number of addresses, asked in turn; those that are not well get nothing.
    {
      name: 'api',
      path: '/api',
      strip: true,
      to: { targets: [process.env.API_URL ?? 'http://127.0.0.1:8001'], healthCheck: '/health' },
      cors: { origins: ['https://shop.example.com'] },
      requestHeaders: { set: { 'X-Caller': 'web' } },
    },
    { name: 'docs', host: 'docs.localhost', to: { redirect: 'https://example.com{path}' } },
    { name: 'old', path: '/v1/:thing/*', to: { redirect: '/api/{thing}/{*}{query}', status: 308 } },
    {
      name: 'robots',
      path: '=/robots.txt',
      to: { respond: 200, body: 'User-agent: *\nDisallow: /api\n' },
    },
    { name: 'machine', path: '/internal', allow: ['127.0.0.1', '::1'], to: 'app' },
    // All the rest: the app, with headers that keep browsers careful.
    { name: 'pages', security: true, to: 'app' },
  ],
};
